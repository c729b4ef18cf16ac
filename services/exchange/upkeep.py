"""Upkeep: brings what runs at the border in line with the agreements, whatever happened in between."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from nats.errors import Error as NatsError
from pymongo.errors import PyMongoError

from mesh.ending import end
from mesh.errors import MeshError

_logger = logging.getLogger(__name__)

_AT_LEAST_EVERY_S = 1.0
UNAVAILABLE = (MeshError, NatsError, PyMongoError, OSError, TimeoutError)
"""What a step of upkeep may meet and try again."""


class Upkeep:
    """Runs a step whenever something has changed, and every second; what fails is tried again with the next."""

    def __init__(self, name: str, changed: asyncio.Event, step: Callable[[], Awaitable[None]]) -> None:
        """`step` may run any number of times, and be cancelled anywhere."""
        self._name = name
        self._changed = changed
        self._step = step
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins with a first step at once."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Ends, also in the middle of a step."""
        await end([self._task])

    async def _run(self) -> None:
        failing = ""
        while True:
            self._changed.clear()
            try:
                await self._step()
                failing = ""
            except UNAVAILABLE as error:
                if failing != type(error).__name__:
                    failing = type(error).__name__
                    _logger.warning("%s waits: %s", self._name, failing)
            except Exception:
                _logger.exception("%s failed and tries again", self._name)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _AT_LEAST_EVERY_S)
