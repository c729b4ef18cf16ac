"""Events scrolling by on a terminal, no faster than eyes follow: what is rare goes first, the rest is counted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Final

from rich.console import Console

from mesh.cli.event_lines import event_line
from mesh.cli.tailing import Seen, Tail

_LINES_PER_S: Final = 10
_PER_KIND_PER_S: Final = 3
"""Of one type and direction; others want to be seen too."""
_OF_MANY: Final = 1
"""Of one that came more often than that in the second before."""
_MANY: Final = 30

Kind = tuple[str, bool]
"""An event type, and whether it crossed a border."""


class Scroll:
    """Prints what a tail sees."""

    def __init__(self, tail: Tail, console: Console) -> None:
        self._tail = tail
        self._console = console
        self._second = 0
        self._shown: Counter[Kind] = Counter()
        self._came: Counter[Kind] = Counter()
        self._came_before: Counter[Kind] = Counter()
        self._passed = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to print."""
        await self._tail.start()
        self._task = asyncio.create_task(self._run(), name="scroll")

    async def stop(self) -> None:
        """Ends; `start` goes on with what comes from then on."""
        await self._tail.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._tell_passed()

    async def _run(self) -> None:
        while True:
            seen = await self._tail.next(within_s=1.0)
            self._turn(int(time.monotonic()))
            if seen is None:
                continue
            if self._has_room(seen):
                self._console.print(event_line(seen.event, seen.locality), no_wrap=True, overflow="ellipsis")
            else:
                self._passed += 1

    def _turn(self, second: int) -> None:
        """Begins a new second."""
        if second != self._second:
            self._tell_passed()
            self._second = second
            self._came_before, self._came, self._shown = self._came, Counter(), Counter()

    def _has_room(self, seen: Seen) -> bool:
        kind = (seen.event.type, seen.event.origin != seen.locality)
        self._came[kind] += 1
        frequent = max(self._came[kind], self._came_before[kind]) > _MANY
        if self._shown[kind] >= (_OF_MANY if frequent else _PER_KIND_PER_S) or self._shown.total() >= _LINES_PER_S:
            return False
        self._shown[kind] += 1
        return True

    def _tell_passed(self) -> None:
        if self._passed:
            self._console.print(f"          … {self._passed:,} more", style="dim")
            self._passed = 0
