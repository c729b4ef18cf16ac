"""`@every`: work that the clock starts, by one process of a service at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from nameko.extensions import Entrypoint

from mesh.call import Call
from mesh.errors import MeshError
from mesh.foreign_errors import classify

_logger = logging.getLogger(__name__)


class Every(Entrypoint):
    """Runs the decorated method each ``seconds``; a method that returns true has more to do and runs again at once.

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
        while not self._stopping.is_set():
            more = False
            if self.container.members.holds(f"every/{self.method_name}"):
                more = await self._once()
            if not more:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), self.seconds)

    async def _once(self) -> bool:
        try:
            [answer] = await self.container.perform([Call(self, ())])
        except Exception as error:  # noqa: BLE001  # the next round tries again
            answer = classify(error)
        if isinstance(answer, MeshError):
            log = _logger.info if answer.transient else _logger.error
            log("%s.%s: %s", self.container.service_name, self.method_name, answer.reason)
            return False
        return bool(answer)


every = Every.decorator
