"""Clients of the event gateway: they resume after the last cursor they were sent, whatever breaks.

async with Audience(place, keys) as audience:
    ...                                       # faults
    await audience.has_heard(expected)
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable
from types import TracebackType
from typing import Any, Self

import grpc

from lienthong.gateway.v1 import SubscribeRequest
from lienthong.gateway.v1.event_gateway_service_pb2_grpc import EventGatewayStub
from tests.faults.load import TrialAt

_AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED}
_PAUSE_S = 0.05


class Listener:
    """One subscriber."""

    def __init__(self, place: TrialAt, keys: Iterable[str]) -> None:
        self._place = place
        self._keys = tuple(keys)
        self._cursor = ""
        self._heard = asyncio.Event()
        self.began = asyncio.Event()
        self.ids: list[str] = []
        """`ce-id` of what it was sent, in order."""
        self.breaks: Counter[str] = Counter()
        """Statuses after which it resumed."""

    async def listen(self) -> None:
        while True:
            async with self._place.channel() as channel:
                try:
                    await self._take(EventGatewayStub(channel))
                except grpc.aio.AioRpcError as error:
                    self.breaks[error.code().name] += 1
                    if error.code() not in _AGAIN:
                        raise
            await asyncio.sleep(_PAUSE_S)

    async def heard(self, count: int) -> None:
        """Returns when it was sent so many events."""
        while len(self.ids) < count:
            self._heard.clear()
            await self._heard.wait()

    async def _take(self, stub: Any) -> None:
        request = SubscribeRequest(keys=self._keys)
        if self._cursor:
            request.after_cursor = self._cursor
        async for delivery in stub.Subscribe(request, metadata=self._place.metadata):
            self._cursor = delivery.cursor
            self.began.set()
            if delivery.HasField("event"):
                self.ids.append(delivery.event.id)
                self._heard.set()


class Audience:
    """Several subscribers to the same events, on connections of their own."""

    def __init__(self, place: TrialAt, keys: Iterable[str], size: int = 3) -> None:
        self.listeners = [Listener(place, keys) for _ in range(size)]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(listener.listen()) for listener in self.listeners]
        await self._wait(30, *(listener.began.wait() for listener in self.listeners))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def has_heard(self, count: int, within_s: float = 60) -> None:
        """Returns when everybody was sent so many events; fails with how many each was sent."""
        await self._wait(within_s, *(listener.heard(count) for listener in self.listeners))

    async def _wait(self, within_s: float, *conditions: Awaitable[Any]) -> None:
        """A listener that ended has been told what nobody should be told."""
        waiting = asyncio.gather(*conditions)
        await asyncio.wait({waiting, *self._tasks}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done():
                task.result()
        if not waiting.done():
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            heard = [(len(listener.ids), dict(listener.breaks)) for listener in self.listeners]
            raise AssertionError(f"within {within_s} s, each with breaks: {heard}")
