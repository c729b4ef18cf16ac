"""Deadlines of many tasks at once, for few timers.

`asyncio.timeout` makes and cancels a timer for each use: a twentieth of an unary call. Hardly any call meets its
deadline, so those that are due within a few milliseconds of each other share a timer, and nobody cancels it.
"""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Final, Self

_GRAIN_S: Final = 0.005


class Deadlines:
    """The deadlines of one loop's tasks."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: dict[int, set[Deadline]] = {}
        """Deadlines by the grain of time after which they are missed."""

    def after(self, seconds: float) -> Deadline:
        """To be used in a `with` statement; up to 5 ms late."""
        grain = math.ceil((self._loop.time() + seconds) / _GRAIN_S)
        due = self._due.get(grain)
        if due is None:
            due = self._due[grain] = set()
            self._loop.call_at(grain * _GRAIN_S, self._miss, grain)
        return Deadline(self._loop, due)

    def _miss(self, grain: int) -> None:
        for deadline in self._due.pop(grain):
            deadline.miss()


class Deadline:
    """Ends a block that takes too long: cancels what its task awaits, then goes on after the block.

    Like `asyncio.timeout`, except that a missed deadline raises nothing and is `missed`. It can be used once.
    """

    __slots__ = ("_cancelled_before", "_loop", "_others", "_task", "missed")

    def __init__(self, loop: asyncio.AbstractEventLoop, others: set[Deadline]) -> None:
        self._loop = loop
        self._others = others
        self.missed = False

    def __enter__(self) -> Self:
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a deadline is kept inside a task")
        self._task = task
        self._cancelled_before = task.cancelling()
        self._others.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not self.missed:
            self._others.discard(self)
            return False
        # Who else cancelled the task meanwhile wants it to end.
        ours = self._task.uncancel() <= self._cancelled_before
        return ours and kind is asyncio.CancelledError

    def miss(self) -> None:
        """The time is over."""
        self.missed = True
        self._task.cancel()
