"""Times of restrictions, of which some have no end."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from mesh.times import timestamp
from services.transport.documents import NEVER_MS


def at(unix_ms: int | None) -> Timestamp | None:
    """The time, absent where there is none."""
    return None if unix_ms == NEVER_MS else timestamp(unix_ms)
