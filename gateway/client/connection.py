"""Channels to a gateway, blocking and for asyncio; both behave alike because gRPC itself does the work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import grpc
import grpc.aio
from google.protobuf.message import Message

from lienthong.client.delivery import Delivery
from lienthong.client.patience import AsyncPatience, Patience
from lienthong.client.service_config import service_config
from lienthong.client.subscription import Subscription
from lienthong.gateway.v1.event_gateway_service_pb2_grpc import EventGatewayStub

E = TypeVar("E", bound=Message)
S = TypeVar("S")
Token = str | Callable[[], str]

DEADLINE_S: Final = 10.0
_MAX_MESSAGE_BYTES: Final = 8 * 2**20


class AsyncClient:
    """The gateway of one locality, for asyncio.

    async with AsyncClient("https://da-nang.example:8443", token=token) as da_nang:
        environment = da_nang.stub(EnvironmentServiceStub)
        stations = await environment.ListStations(ListStationsRequest())
    """

    def __init__(
        self, address: str, *, token: Token, ca: Path | str | None = None, deadline_s: float = DEADLINE_S
    ) -> None:
        """`address` is the gateway's URL, https; `ca` a PEM file to trust instead of the system's authorities.

        `token` is a token, or is called for one before each call. `deadline_s` bounds a unary call with all its tries,
        and `timeout=` on a call shortens it; as long as they allow, a call that may be repeated waits for a gateway, or
        for services behind it, that are away. Raises ValueError for an address that is no https URL.
        """
        target, credentials, options = _channel(address, token, ca)
        self.channel = grpc.aio.secure_channel(target, credentials, options, interceptors=[AsyncPatience(deadline_s)])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()

    def stub(self, stub: Callable[[grpc.aio.Channel], S]) -> S:
        """A generated stub, as `EnvironmentServiceStub`, on this channel; a call raises `grpc.RpcError`."""
        return stub(self.channel)

    async def subscribe(
        self,
        *types: type[E],
        origin: str | Iterable[str] = (),
        key: str | Iterable[str] = (),
        fields: Iterable[str] = (),
        since: datetime | None = None,
        after: str = "",
    ) -> AsyncIterator[Delivery[E]]:
        """As `Client.subscribe`."""
        subscription = Subscription(types, origin=origin, key=key, fields=fields, since=since, after=after)
        gateway = self.stub(EventGatewayStub)
        while True:
            failure = None
            try:
                async for response in gateway.Subscribe(subscription.request()):
                    if (delivery := subscription.take(response)) is not None:
                        yield delivery
            except grpc.RpcError as error:
                failure = error
            await asyncio.sleep(subscription.pause_s(failure))


class Client:
    """The gateway of one locality, for code that blocks; takes what `AsyncClient` takes.

    with Client("https://da-nang.example:8443", token=token) as da_nang:
        stations = da_nang.stub(EnvironmentServiceStub).ListStations(ListStationsRequest())
    """

    def __init__(
        self, address: str, *, token: Token, ca: Path | str | None = None, deadline_s: float = DEADLINE_S
    ) -> None:
        target, credentials, options = _channel(address, token, ca)
        self.channel = grpc.intercept_channel(grpc.secure_channel(target, credentials, options), Patience(deadline_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def stub(self, stub: Callable[[grpc.Channel], S]) -> S:
        """A generated stub, as `EnvironmentServiceStub`, on this channel; a call raises `grpc.RpcError`."""
        return stub(self.channel)

    def subscribe(
        self,
        *types: type[E],
        origin: str | Iterable[str] = (),
        key: str | Iterable[str] = (),
        fields: Iterable[str] = (),
        since: datetime | None = None,
        after: str = "",
    ) -> Iterator[Delivery[E]]:
        """Events of these types as they are committed; none means all you may read. Goes on until you stop.

        `origin` and `key` choose by slug (`local`, `peers`) and key, one or several; `fields` are paths of the event
        message wanted. Begins with what comes now, with the first event committed at or after `since`, or with what
        comes `after` the cursor of a delivery. Breaks, restarts of the gateway and expired tokens are mended by going
        on after the last delivery: nothing is lost or repeated. Raises the `grpc.RpcError` that waiting does not mend.
        """
        subscription = Subscription(types, origin=origin, key=key, fields=fields, since=since, after=after)
        gateway = self.stub(EventGatewayStub)
        while True:
            failure = None
            call = gateway.Subscribe(subscription.request())
            try:
                for response in call:
                    if (delivery := subscription.take(response)) is not None:
                        yield delivery
            except grpc.RpcError as error:
                failure = error
            finally:
                call.cancel()
            time.sleep(subscription.pause_s(failure))


class _Bearer(grpc.AuthMetadataPlugin):
    """Puts the token on each call."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        try:
            token = self._token() if callable(self._token) else self._token
        except Exception as error:  # noqa: BLE001  # it becomes the call's UNAVAILABLE
            callback((), error)
        else:
            callback((("authorization", f"Bearer {token}"),), None)


def _channel(
    address: str, token: Token, ca: Path | str | None
) -> tuple[str, grpc.ChannelCredentials, list[tuple[str, Any]]]:
    url = urlsplit(address)
    if url.scheme != "https" or not url.hostname or url.path.strip("/") or url.query:
        raise ValueError(f"{address!r} is no gateway's address; expected one like https://da-nang.example:8443")
    authorities = None if ca is None else Path(ca).read_bytes()
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(authorities), grpc.metadata_call_credentials(_Bearer(token))
    )
    options = [
        ("grpc.service_config", service_config()),
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        # gRPC waits up to two minutes before it connects again; a restarted gateway is back within seconds.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        # A gateway that vanished without a word is noticed by a quiet subscriber too.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
    ]
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{host}:{url.port or 443}", credentials, options
