"""Days as people here count them."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Final

# Asia/Ho_Chi_Minh, the same all year.
_LOCAL: Final = timezone(timedelta(hours=7))


def local_day(unix_ms: int) -> date:
    """The day it is here at a time."""
    return datetime.fromtimestamp(unix_ms / 1000, _LOCAL).date()
