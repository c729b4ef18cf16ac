"""Times inside and at the border: Unix milliseconds, timestamps of contracts, and days as people here count them."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

# Asia/Ho_Chi_Minh, the same all year.
_LOCAL: Final = timezone(timedelta(hours=7))


def now_ms(now: datetime) -> int:
    """Unix time of a clock's `now`."""
    return int(now.timestamp() * 1000)


def to_ms(at: Timestamp) -> int:
    """Unix time in whole milliseconds, cut off."""
    return at.seconds * 1000 + at.nanos // 1_000_000


def timestamp(unix_ms: int | None) -> Timestamp | None:
    """A time as contracts tell it; None stays absent."""
    if unix_ms is None:
        return None
    return Timestamp(seconds=unix_ms // 1000, nanos=unix_ms % 1000 * 1_000_000)


def local_day(unix_ms: int) -> date:
    """The day it is here at a time."""
    return datetime.fromtimestamp(unix_ms / 1000, _LOCAL).date()
