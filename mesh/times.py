"""Times of contracts as documents keep them: Unix time in whole milliseconds, which is MongoDB's precision."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def now_ms(now: datetime) -> int:
    """Unix time of a clock's `now` in whole milliseconds, cut off; exact, as `datetime.timestamp()` is not."""
    return (now - _EPOCH) // _MILLISECOND


def to_ms(at: Timestamp) -> int:
    """Unix time in whole milliseconds, cut off."""
    return at.seconds * 1000 + at.nanos // 1_000_000


def timestamp(unix_ms: int | None) -> Timestamp | None:
    """A time as contracts tell it; None stays absent."""
    if unix_ms is None:
        return None
    return Timestamp(seconds=unix_ms // 1000, nanos=unix_ms % 1000 * 1_000_000)
