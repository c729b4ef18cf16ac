"""Subscribers of the event gateway, as tests run them.

async with subscribers(home, host).subscribe(keys=["a"]) as subscriber:
    await subscriber.events(3)
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Self

import grpc

from lienthong.gateway.v1 import CloudEvent, SubscribeRequest, SubscribeResponse
from lienthong.gateway.v1.event_gateway_service_pb2_grpc import EventGatewayStub
from mesh.errors import MeshError, from_rpc_error
from mesh.host import Host
from tests.hosts import Home
from tests.trial.contract import AmountRecorded

READ = ("events.read", "trial.read")


class Subscriber:
    """One subscription under way, and what it was sent."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.deliveries: list[SubscribeResponse] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._call.cancel()

    @property
    def cursor(self) -> str:
        """The last one sent."""
        return self.deliveries[-1].cursor if self.deliveries else ""

    @property
    def received(self) -> list[CloudEvent]:
        """Events sent so far."""
        return [delivery.event for delivery in self.deliveries if delivery.HasField("event")]

    async def next(self, within_s: float = 15) -> SubscribeResponse:
        """The next delivery. Raises the `MeshError` the stream ends with."""
        try:
            delivery = await asyncio.wait_for(self._call.read(), within_s)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        if delivery is grpc.aio.EOF:
            raise from_rpc_error(await _ended(self._call))
        self.deliveries.append(delivery)
        return delivery

    async def events(self, count: int) -> list[CloudEvent]:
        """Reads until there are so many events; returns all."""
        while len(self.received) < count:
            await self.next()
        return self.received

    async def until_ended(self) -> MeshError:
        """Reads until the stream ends, and returns what with."""
        while True:
            try:
                await self.next()
            except MeshError as error:
                return error


class Subscribers:
    """Makes subscribers of one host."""

    def __init__(self, home: Home, host: Host) -> None:
        self._home = home
        self._channel = home.channel(host)
        self.stub = EventGatewayStub(self._channel)

    def metadata(self, scopes: Iterable[str] = READ, **given: Any) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self._home.token(*scopes, **given)}")]

    def subscribe(
        self, *, scopes: Iterable[str] = READ, claims: dict[str, Any] | None = None, **wanted: Any
    ) -> Subscriber:
        """A subscriber; what is not wanted otherwise is all, from now on."""
        request = SubscribeRequest(**wanted)
        return Subscriber(self.stub.Subscribe(request, metadata=self.metadata(scopes, **(claims or {}))))

    async def begin(self, **wanted: Any) -> Subscriber:
        """A subscriber that has been sent its first cursor: what is committed from now on reaches it."""
        subscriber = self.subscribe(**wanted)
        await subscriber.next()
        return subscriber


def amounts(events: Iterable[CloudEvent]) -> list[int]:
    """Amounts of the events, in the order they were sent."""
    return [amount_of(event).amount for event in events]


def amount_of(event: CloudEvent) -> AmountRecorded:
    """The message of an event."""
    message = AmountRecorded()
    assert event.data.Unpack(message)
    return message


async def _ended(call: Any) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        await call.code(), await call.initial_metadata(), await call.trailing_metadata(), await call.details()
    )
