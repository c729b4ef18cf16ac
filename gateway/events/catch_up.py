"""Catching up: what lies between a subscriber's place and the ring, read for it alone.

Logs are merged by the time they committed, so a story that runs over several sectors is told in its order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from gateway.events.entry import Positions
from gateway.events.history import History
from mesh.errors import Unavailable
from mesh.log import LOGGED_AT
from mesh.source import Delivery


class CatchUp:
    """Reads every log from its position up to where the ring begins."""

    def __init__(self, histories: Sequence[History], positions: Positions, reading: asyncio.Semaphore) -> None:
        self._positions = list(positions)
        """How far each log has been handed out."""
        self._histories = histories
        self._reading = reading
        self._read: list[deque[Delivery]] = [deque() for _ in histories]

    async def next(self, until: Positions) -> tuple[int, Delivery] | None:
        """The next delivery and whose it is; None when each log has come as far as `until`.

        Raises `OutOfRange` when it is no longer kept, and `Unavailable`.
        """
        behind = [index for index, position in enumerate(self._positions) if position < until[index]]
        if not behind:
            return None
        await self._fill(behind)
        # Streams that have caught up may hold read entries: they are the ring's to deliver.
        index = min(behind, key=lambda index: self._read[index][0].headers.get(LOGGED_AT, ""))
        delivery = self._read[index].popleft()
        self._positions[index] = delivery.position
        return index, delivery

    async def _fill(self, behind: Sequence[int]) -> None:
        for index in behind:
            if not self._read[index]:
                async with self._reading:
                    found = await self._histories[index].page(self._positions[index])
                if not found:
                    raise Unavailable(f"the log of {self._histories[index].service} is not as far as its stream was")
                self._read[index].extend(found)
