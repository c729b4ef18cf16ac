"""Where a subscription begins: now, at a time, or after a cursor, as a position of each log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.events.entry import Positions
from gateway.events.history import History
from mesh.errors import OutOfRange
from mesh.log import LOGGED_AT

_LOOK = 16
"""Entries read to learn when the log was at a position: numbers without an event tell no time."""


async def after_places(histories: Sequence[History], places: Sequence[int | None], head: Positions) -> Positions:
    """The positions of a cursor. Of a log it does not know, all that is kept lies behind it.

    Raises `OutOfRange` for a place behind the end of a log: it is of a log that is lost.
    """
    found = zip(histories, places, head, strict=True)
    return tuple(await asyncio.gather(*(_after(history, place, reached) for history, place, reached in found)))


async def at_time(histories: Sequence[History], time: datetime, kept_since: datetime) -> Positions:
    """The positions before the first events committed at or after a time.

    Raises `OutOfRange` when some of these may no longer be kept.
    """
    return tuple(await asyncio.gather(*(_at(history, time, kept_since) for history in histories)))


async def _after(history: History, place: int | None, reached: int) -> int:
    if place is None:
        return await history.floor()
    if place > reached and place > (end := await history.end()):
        raise OutOfRange(f"the cursor stands at {place} of the log of {history.service}, which ends at {end}")
    return place


async def _at(history: History, time: datetime, kept_since: datetime) -> int:
    low, high = await history.floor(), await history.end()
    if low and time < kept_since:
        text = kept_since.isoformat(timespec="seconds")
        raise OutOfRange(f"the log of {history.service} begins at {low + 1}; before {text} it is not whole")
    wanted = _logged(time)
    while low < high:
        middle = (low + high) // 2
        known = (found for found in await history.page(middle, _LOOK) if LOGGED_AT in found.headers)
        next_known = next(known, None)
        if next_known is None or next_known.position > high or next_known.headers[LOGGED_AT] >= wanted:
            high = middle
        else:
            low = next_known.position
    return low


def _logged(time: datetime) -> str:
    """As the log writes it; RFC 3339 of one zone and precision sorts by time."""
    return f"{time.astimezone(UTC).isoformat(timespec='milliseconds')[:-6]}Z"
