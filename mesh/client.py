"""Calls to services: what a process, an exchange or the command line uses to reach another one.

Each call has a deadline over all its tries. A call that may be repeated (a read, or one with a `request_id`) is tried
again while its failure is transient; a peer that does not answer is left alone for a while. Token and trace context
travel as metadata.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import grpc
import grpc.aio
import tenacity
from google.protobuf import message_factory
from google.protobuf.message import Message

from mesh.breaker import Breaker
from mesh.contracts import service_descriptor
from mesh.errors import (
    Aborted,
    ContractError,
    DeadlineExceeded,
    MeshError,
    ResourceExhausted,
    TransientError,
    Unavailable,
    from_rpc_error,
)
from mesh.renewing import RenewingChannel
from mesh.telemetry import client_span, inject_into
from mesh.tls import Tls

DEFAULT_DEADLINE_S: Final = 10.0
MAX_MESSAGE_BYTES: Final = 8 * 2**20

_READS: Final = ("Get", "List", "Read")
"""Standard methods without an effect (AIP-131, AIP-132) and those that read a log."""
_REPEATED: Final = (Unavailable, ResourceExhausted, Aborted)
_backoff: Final = tenacity.wait_random_exponential(multiplier=0.05, max=2.0)


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC of a contract."""

    path: str
    """`package.Service/Method`."""
    request: type[Message]
    response: type[Message]
    client_streaming: bool
    server_streaming: bool

    @property
    def is_read(self) -> bool:
        """Whether its name says that it changes nothing."""
        return self.path.rpartition("/")[2].startswith(_READS)

    def may_repeat(self, request: Message) -> bool:
        """Whether sending this request twice does no more than once."""
        return self.is_read or bool(getattr(request, "request_id", ""))


def methods_of(service: str) -> dict[str, Method]:
    """RPCs of a service by name; `service` is a full name as `lienthong.health.v1.HealthService`.

    Raises ContractError when no installed contract has it.
    """
    return {method.name: _method(method) for method in service_descriptor(service).methods}


def _method(method: Any) -> Method:
    return Method(
        path=f"{method.containing_service.full_name}/{method.name}",
        request=message_factory.GetMessageClass(method.input_type),
        response=message_factory.GetMessageClass(method.output_type),
        client_streaming=method.client_streaming,
        server_streaming=method.server_streaming,
    )


class Client:
    """Calls one service at one address.

    async with Client("lienthong.health.v1.HealthService", "127.0.0.1:7001", token=tokens) as health:
        answer = await health.call("GetAdvisory", GetAdvisoryRequest(advisory_id=advisory_id))
    """

    def __init__(
        self,
        service: str,
        target: str | grpc.aio.Channel,
        *,
        token: Callable[[], str] | None = None,
        deadline_s: float = DEFAULT_DEADLINE_S,
        breaker: Breaker | None = None,
        tls: Tls | None = None,
    ) -> None:
        """`target` is `host:port`, or a channel that stays its owner's. Made on the event loop that will use it.

        Clients of one address may share a breaker. Without `tls` the channel is not encrypted.
        """
        self.methods = methods_of(service)
        self.deadline_s = deadline_s
        self._service = service
        self._token = token
        self._own = isinstance(target, str)
        self._channel = open_channel(target, tls) if isinstance(target, str) else target
        self._breaker = breaker or Breaker(target if isinstance(target, str) else service)
        self._loop = asyncio.get_running_loop()
        self._calls: dict[str, Callable[..., Any]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the channel if the client opened it."""
        if self._own:
            await self._channel.close()

    async def call(
        self, method: str, request: Message, *, deadline_s: float | None = None, repeatable: bool | None = None
    ) -> Any:
        """Makes a unary call and returns its response.

        `deadline_s` bounds all tries together. `repeatable` overrules what the method's name and the request tell
        about whether it may be tried again. Raises the MeshError the call failed with.
        """
        known = self._known(method, streaming=False)
        repeat = known.may_repeat(request) if repeatable is None else repeatable
        ends_at = time.monotonic() + (self.deadline_s if deadline_s is None else deadline_s)
        with client_span(known.path):
            async for attempt in attempts(ends_at, repeat=repeat):
                with attempt:
                    return await self._try(known, request, ends_at)
        raise AssertionError("tenacity re-raises the last error")

    def call_from_thread(self, method: str, request: Message, **options: Any) -> Any:
        """As `call`, for code that runs in another thread than the client's event loop; blocks."""
        return asyncio.run_coroutine_threadsafe(self.call(method, request, **options), self._loop).result()

    async def stream(
        self, method: str, requests: Message | AsyncIterable[Message], *, deadline_s: float | None = None
    ) -> AsyncIterator[Any]:
        """Makes a streaming call and yields its responses; never tried again. Raises the MeshError it failed with.

        A method that answers once yields once. Without `deadline_s` it may last for ever.
        """
        known = self._known(method, streaming=True)
        self._breaker.enter()
        failure: BaseException | None = None
        try:
            call = self._callable(known)(requests, timeout=deadline_s, metadata=self._metadata())
            if known.server_streaming:
                async for response in call:
                    yield response
            else:
                yield await call
        except grpc.RpcError as error:
            failure = self._told(error)
            raise failure from error
        except BaseException as error:
            failure = error
            raise
        finally:
            self._breaker.leave(failure)

    async def _try(self, method: Method, request: Message, ends_at: float) -> Any:
        remaining_s = ends_at - time.monotonic()
        if remaining_s <= 0:
            raise DeadlineExceeded(f"{method.path}: no answer in time")
        self._breaker.enter()
        failure: BaseException | None = None
        try:
            return await self._callable(method)(request, timeout=remaining_s, metadata=self._metadata())
        except grpc.RpcError as error:
            failure = self._told(error)
            raise failure from error
        except BaseException as error:
            failure = error
            raise
        finally:
            self._breaker.leave(failure)

    def _known(self, name: str, *, streaming: bool) -> Method:
        method = self.methods.get(name)
        if method is None:
            raise ContractError(f"{self._service} has no method {name}; it has {', '.join(self.methods)}")
        if streaming != (method.client_streaming or method.server_streaming):
            raise ContractError(f"{method.path}: use `{'call' if streaming else 'stream'}`")
        return method

    def _callable(self, method: Method) -> Callable[..., Any]:
        known = self._calls.get(method.path)
        if known is None:
            known = self._calls[method.path] = self._opener(method)(
                f"/{method.path}",
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )
        return known

    def _opener(self, method: Method) -> Callable[..., Any]:
        if method.client_streaming:
            return self._channel.stream_stream if method.server_streaming else self._channel.stream_unary
        return self._channel.unary_stream if method.server_streaming else self._channel.unary_unary

    def _told(self, error: grpc.RpcError) -> MeshError:
        """The error a call failed with; what certificates have to do with it is said in so many words."""
        failure = from_rpc_error(error)
        if isinstance(failure, Unavailable) and isinstance(self._channel, RenewingChannel):
            return Unavailable(self._channel.tls.explained(failure.message), failure.retry_after_s)
        return failure

    def _metadata(self) -> Sequence[tuple[str, str]]:
        metadata: dict[str, str] = {}
        inject_into(metadata)
        if self._token is not None:
            metadata["authorization"] = f"Bearer {self._token()}"
        return tuple(metadata.items())


def open_channel(target: str, tls: Tls | None = None) -> grpc.aio.Channel:
    """A channel to `host:port` that is soon back after its peer; without `tls` not encrypted."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        # gRPC waits up to two minutes before it connects again; a restarted peer is back within seconds.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
    ]
    if tls is None:
        return grpc.aio.insecure_channel(target, options=options)
    return RenewingChannel(target, tls, options)


def attempts(ends_at: float, *, repeat: bool) -> tenacity.AsyncRetrying:
    """Tries until monotonic time `ends_at`, then raises the last error: `async for attempt in attempts(…)`."""
    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(_REPEATED if repeat else ()),
        wait=_pause,
        stop=lambda state: time.monotonic() + state.upcoming_sleep >= ends_at,
        reraise=True,
    )


def _pause(state: tenacity.RetryCallState) -> float:
    """How long to wait before the next try: at least what the peer asked for."""
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.retry_after_s if isinstance(error, TransientError) else None
    return max(_backoff(state), asked_s or 0.0)
