"""Subscribers of a fan-out, and who sets it off: the same for every contestant, and as cheap as can be."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc

from bench.contract import CHANGE, Changed, change_request
from bench.processes import Link
from bench.raw.stalled import SMALL_WINDOW, catch_up
from lienthong.gateway.v1 import SubscribeRequest, SubscribeResponse

_SUBSCRIBE = "/lienthong.gateway.v1.EventGateway/Subscribe"
_PER_CONNECTION = 50
_PROBES = 20
"""One in so many subscribers reads what it is sent; the others count."""
_SHORTEST_EVENT = 200
"""Bytes; what is shorter is a cursor alone."""
_PATIENCE_S = 30.0


class Crowd:
    """Subscribers of one server, one of which takes nothing."""

    def __init__(self, gateway: str, recorder: str, metadata: list[list[str]]) -> None:
        """`gateway` is where one subscribes, `recorder` where events are set off."""
        self._gateway, self._recorder = gateway, recorder
        self._metadata = [(name, value) for name, value in metadata]
        self._channels: list[grpc.aio.Channel] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._begun = 0
        self._delivered = 0
        self._set_off = 0
        """Events so far; each has its number as its amount."""
        self._sent: dict[int, float] = {}
        self._latencies: list[float] = []

    async def open(self, count: int) -> None:
        """Returns when all but the stalled one have been sent their first delivery."""
        for number in range(count):
            if number % _PER_CONNECTION == 0:
                channel = self._channel(self._gateway)
            self._tasks.append(asyncio.create_task(self._follow(channel, number % _PROBES == 0)))
        self._stalled = self._subscribe(self._channel(self._gateway, *SMALL_WINDOW))
        await self._until(lambda: self._begun >= count)

    async def run(self, per_second: float, seconds: float) -> dict[str, Any]:
        """Sets events off at a steady pace; returns when all have been delivered to all who take them."""
        change = self._channel(self._recorder).unary_unary(CHANGE)
        self._delivered, self._latencies = 0, []
        count, began = int(per_second * seconds), time.perf_counter()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
            event, self._set_off = self._set_off, self._set_off + 1
            self._sent[event] = time.perf_counter()
            # Each id, so each key, is one event: what takes long is not to meet itself.
            await change(change_request(f"{event}-{began}".replace(".", "-"), event), metadata=self._metadata)
        wanted = count * len(self._tasks)
        await self._until(lambda: self._delivered >= wanted)
        spent = time.perf_counter() - began
        return {"delivered": self._delivered, "seconds": spent, "latencies": self._latencies}

    async def wake(self) -> dict[str, Any]:
        """Lets the stalled one read until it has every event; where it was cut off it goes on after its cursor."""

        def resume(cursor: str) -> Any:
            return self._subscribe(self._channel(self._gateway), after_cursor=cursor)

        async with asyncio.timeout(_PATIENCE_S):
            return await catch_up(self._stalled, resume, self._set_off)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(channel.close() for channel in self._channels))

    def _channel(self, address: str, *options: tuple[str, int]) -> grpc.aio.Channel:
        channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1), *options])
        self._channels.append(channel)
        return channel

    def _subscribe(self, channel: grpc.aio.Channel, **start: str) -> Any:
        request = SubscribeRequest(types=["bench.v1.Changed"], **start).SerializeToString()
        return channel.unary_stream(_SUBSCRIBE)(request, metadata=self._metadata)

    async def _follow(self, channel: grpc.aio.Channel, probe: bool) -> None:
        first = True
        async for delivery in self._subscribe(channel):
            if first:
                self._begun, first = self._begun + 1, False
            elif len(delivery) > _SHORTEST_EVENT:
                self._delivered += 1
                if probe:
                    self._note(delivery)

    def _note(self, delivery: bytes) -> None:
        now, changed = time.perf_counter(), Changed()
        SubscribeResponse.FromString(delivery).event.data.Unpack(changed)
        self._latencies.append(now - self._sent[changed.amount])

    async def _until(self, reached: Any) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not reached():
            if time.monotonic() > deadline:
                raise SystemExit(f"{self._begun} subscribers have begun, {self._delivered} deliveries came")
            await asyncio.sleep(0.005)


async def main(link: Link, **where: Any) -> None:
    """Subscribes and sets off what it is told to."""
    crowd = Crowd(**where)

    async def open(count: int) -> dict[str, Any]:
        await crowd.open(count)
        return {}

    link.say()
    await link.serve({"open": open, "run": crowd.run, "wake": crowd.wake})
    await crowd.close()
