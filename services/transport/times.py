"""Times of the contract and of documents: Unix time in whole milliseconds."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from services.transport.documents import NEVER_MS


def to_ms(at: Timestamp) -> int:
    """Unix time in whole milliseconds, cut off."""
    return at.seconds * 1000 + at.nanos // 1_000_000


def at(unix_ms: int | None) -> Timestamp | None:
    """The time, absent where there is none."""
    if unix_ms is None or unix_ms == NEVER_MS:
        return None
    return Timestamp(seconds=unix_ms // 1000, nanos=unix_ms % 1000 * 1_000_000)


def now_ms(now: datetime) -> int:
    """Unix time of a clock's `now`."""
    return int(now.timestamp() * 1000)
