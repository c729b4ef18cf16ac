"""Events scrolling by on a terminal, no faster than eyes follow: what is rare goes first, the rest is counted."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from rich.console import Console

from mesh.cli.event_lines import event_line
from mesh.cli.tailing import Seen, Tail

_LINES_PER_S: Final = 12
_PER_TYPE_PER_S: Final = 4
"""Of one type and one direction; others want to be seen too."""


class Scroll:
    """Prints what a tail sees."""

    def __init__(self, tail: Tail, console: Console) -> None:
        self._tail = tail
        self._console = console
        self._second = 0
        self._shown: dict[tuple[str, bool], int] = {}
        self._passed = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to print."""
        await self._tail.start()
        self._task = asyncio.create_task(self._run(), name="scroll")

    async def stop(self) -> None:
        """Ends."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._tell_passed()

    async def _run(self) -> None:
        async for seen in self._tail:
            second = int(time.monotonic())
            if second != self._second:
                self._tell_passed()
                self._second, self._shown = second, {}
            if self._has_room(seen):
                self._console.print(event_line(seen.event, seen.locality))
            else:
                self._passed += 1

    def _has_room(self, seen: Seen) -> bool:
        crossed = seen.event.origin != seen.locality
        kind = (seen.event.type, crossed)
        if self._shown.get(kind, 0) >= _PER_TYPE_PER_S or sum(self._shown.values()) >= _LINES_PER_S:
            return False
        self._shown[kind] = self._shown.get(kind, 0) + 1
        return True

    def _tell_passed(self) -> None:
        if self._passed:
            self._console.print(f"          … and {self._passed:,} more", style="dim")
            self._passed = 0
