"""`@every`: work that the clock starts, by one process of a service at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any

from nameko.extensions import Entrypoint

from mesh.call import Call
from mesh.errors import MeshError
from mesh.foreign_errors import classify

_logger = logging.getLogger(__name__)

_SOON_S, _LATEST_S = 0.5, 30.0
"""How long a failed run waits for the next one: at first, and after many failures."""


class Every(Entrypoint):
    """Runs the decorated method each ``seconds``; a method that returns true has more to do and runs again at once.

    A run that failed is tried again soon, and a process that takes the work over begins at once: neither waits
    for the next full period, which may be an hour.
    Two processes that both believe it is theirs are safe: what they stage is checked like any other unit.
    """

    def __init__(self, seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self.seconds = seconds
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"every-{self.method_name}")

    async def stop(self) -> None:
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        failures, due = 0, 0.0
        while not self._stopping.is_set():
            if not self.container.members.holds(f"every/{self.method_name}"):
                due = 0.0
            elif time.monotonic() >= due:
                answer = await self._once()
                failures = failures + 1 if isinstance(answer, MeshError) else 0
                if answer and not failures:
                    continue
                due = time.monotonic() + (min(self.seconds, _backoff(failures)) if failures else self.seconds)
            pause = min(self.container.members.beat_s, max(due - time.monotonic(), 0.0) or self.seconds)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _once(self) -> Any:
        try:
            [answer] = await self.container.perform([Call(self, ())])
        except Exception as error:  # noqa: BLE001  # the next run tries again
            answer = classify(error)
        if isinstance(answer, MeshError):
            log = _logger.info if answer.transient else _logger.error
            log("%s.%s: %s", self.container.service_name, self.method_name, answer.reason)
        return answer


def _backoff(failures: int) -> float:
    return min(_SOON_S * 2.0 ** (min(failures, 16) - 1), _LATEST_S)


every = Every.decorator
