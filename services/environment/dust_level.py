"""Which VN_AQI an hour must pass to raise an alert, given road works near its station.

A station's road works are spans by restriction id: from, until (Unix time in milliseconds), and the index called for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from services.environment.air_quality_alert import CORRECTION_HOURS

_HOUR_MS: Final = 3_600_000

Spans = Mapping[str, Sequence[int]]


def level_of(hour: int, spans: Spans, usual: int) -> int:
    """The lowest index that road works within the hour call for, never above the usual one."""
    start, end = hour * _HOUR_MS, (hour + 1) * _HOUR_MS
    return min([usual, *(index for first, last, index in spans.values() if max(first, start) < min(last, end))])


def without_past(spans: Spans, latest_closed_hour: int) -> dict[str, Sequence[int]]:
    """Spans that an hour may still be judged by: those before it are too old to be corrected."""
    oldest_ms = (latest_closed_hour - CORRECTION_HOURS) * _HOUR_MS
    return {id: span for id, span in spans.items() if span[1] > oldest_ms}
