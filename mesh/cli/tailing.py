"""Events as they are published on the buses of running localities."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from mesh.cli.running import RunningMesh
from mesh.errors import UndecodableEvent
from mesh.events import Event, from_headers

_SUBJECT: Final = "events.>"
_QUEUED: Final = 20_000
"""Events that may wait to be shown; beyond it the oldest go, because showing holds up nobody."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An event on the bus of a locality."""

    locality: str
    event: Event
    at: float = field(default_factory=time.monotonic)
    """When it came, by the clock of `time.monotonic`."""


class Tail:
    """Sees every event of some localities from now on; what was published before is in their logs."""

    def __init__(self, mesh: RunningMesh, localities: Iterable[str]) -> None:
        self._mesh = mesh
        self._localities = tuple(localities)
        self._seen: asyncio.Queue[Seen] = asyncio.Queue(_QUEUED)
        self._subscriptions: list[Subscription] = []

    async def start(self) -> None:
        """Subscribes. Raises Unavailable when a broker does not answer."""
        for slug in self._localities:
            connection = await self._mesh.nats(slug)
            self._subscriptions.append(await connection.subscribe(_SUBJECT, cb=self._taker(slug)))
            with contextlib.suppress(NatsError):
                await connection.flush(2)

    async def stop(self) -> None:
        """Sees no more; what came is still there to be read."""
        for subscription in self._subscriptions:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()
        self._subscriptions.clear()

    async def next(self, within_s: float) -> Seen | None:
        """The next event, or None when none came in that time."""
        try:
            async with asyncio.timeout(within_s):
                return await self._seen.get()
        except TimeoutError:
            return None

    async def __aiter__(self) -> AsyncIterator[Seen]:
        """Yields events for ever."""
        while True:
            yield await self._seen.get()

    def _taker(self, slug: str) -> Callable[[Msg], Awaitable[None]]:
        async def take(message: Msg) -> None:
            try:
                event = from_headers(message.headers, message.data)
                _ = event.topic
            except UndecodableEvent:
                return  # a number that stands for nothing, or a type this installation does not know
            if self._seen.full():
                self._seen.get_nowait()
            self._seen.put_nowait(Seen(slug, event))

        return take
