"""Load: calls in a closed loop (as many in flight as told) or an open one (as many per second as told)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import grpc

Call = Callable[[bytes], Awaitable[object]]
_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Loaded:
    """What a load came to."""

    calls: int
    seconds: float

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.calls / self.seconds


class Client:
    """Unary calls of one method of one server, as bytes: the client is to cost as little as it can."""

    def __init__(
        self,
        address: str,
        method: str,
        metadata: tuple[tuple[str, str], ...] = (),
        credentials: grpc.ChannelCredentials | None = None,
        options: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Without credentials it calls in the clear."""
        own = [("grpc.use_local_subchannel_pool", 1), *options]
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(address, options=own)
        else:
            self._channel = grpc.aio.secure_channel(address, credentials, options=own)
        self._method = self._channel.unary_unary(method)
        self._metadata = metadata

    async def __aenter__(self) -> Client:
        await self._channel.channel_ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def call(self, request: bytes) -> object:
        """Calls once."""
        return await self._method(request, metadata=self._metadata, timeout=_TIMEOUT_S)


async def closed(call: Call, request: Callable[[int], bytes], *, seconds: float, in_flight: int) -> Loaded:
    """Calls for so many seconds, each caller its next one as soon as it is answered."""
    began = time.perf_counter()
    until = began + seconds
    count = 0

    async def caller() -> None:
        nonlocal count
        while time.perf_counter() < until:
            number = count
            count += 1
            await call(request(number))

    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return Loaded(count, time.perf_counter() - began)


async def paced(
    call: Call, request: Callable[[int], bytes], *, seconds: float, per_second: float
) -> dict[int, tuple[float, float]]:
    """Calls at a steady pace, whatever the answers do. Returns when each call began and was answered."""
    moments: dict[int, tuple[float, float]] = {}

    async def one(number: int) -> None:
        began = time.time()
        await call(request(number))
        moments[number] = (began, time.time())

    began = time.perf_counter()
    async with asyncio.TaskGroup() as calls:
        for number in range(int(seconds * per_second)):
            await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
            calls.create_task(one(number))
    return moments
