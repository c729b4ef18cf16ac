"""`@rpc`: a method of a service class answers the RPC of its name.

The contract decides: a missing or an extra method stops start-up, scopes and input rules are those of the
contract, and whoever brings no token with the scope is refused.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from nameko.extensions import Entrypoint

from mesh.annotations import method_scope
from mesh.auth import Caller, Verifier, bearer_token
from mesh.call import Call
from mesh.contracts import contract_name, service_descriptor
from mesh.elsewhere import Elsewhere
from mesh.errors import ContractError, DeadlineExceeded, MeshError, ResourceExhausted, Unavailable
from mesh.foreign_errors import classify
from mesh.gate import Gate
from mesh.lookup import lookup_of
from mesh.loop_streams import LoopStream, runs_on_loop, serialized
from mesh.streams import HandlerStream, RequestIterator
from mesh.telemetry import answered, server_span
from mesh.validation import check

if TYPE_CHECKING:
    from mesh.container import MeshContainer

_logger = logging.getLogger(__name__)

_RUN_CAP = 16
"""Messages of one stream whose units share a run."""
_RUN_TARGET_S = 0.15
"""How long a run of messages should take from its first handler to its commit."""
_DEADLINE_SHARE = 0.9
"""Part of the caller's time that commits may use: what is left carries the answer."""
_MAX_BACKOFF_S = 0.5

T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., Any])


class Rpc(Entrypoint):
    """Answers the RPC of the decorated method's name.

    Unary: ``method(request) -> response``, one unit of work. Streams: a generator of responses and/or an
    iterator of requests; what is staged is committed before each response is sent. With ``each_message`` a
    bidirectional stream calls ``method(request) -> response`` per message, each its own unit. An async generator
    of responses to one request runs on the loop: it reads only, and holds no thread while it waits.
    """

    def __init__(self, each_message: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.each_message = each_message
        self.answer_type: type[Message] = Message
        self.request_type: type[Message] = Message
        self.on_loop = False
        """Whether the method runs on the loop."""

    @property
    def records_requests(self) -> bool:
        """Whether a request may have an id, under which its answer is recorded."""
        return "request_id" in self.request_type.DESCRIPTOR.fields_by_name


class RpcDecorator(Protocol):
    """Decorates a method and leaves it as it is."""

    @overload
    def __call__(self, method: Method, /) -> Method: ...
    @overload
    def __call__(self, *, each_message: bool = ..., **options: Any) -> Callable[[Method], Method]: ...


rpc: RpcDecorator = Rpc.decorator


class Door:
    """Decides who comes in: certificate, token, scope. Deny by default."""

    def __init__(self, verifier: Verifier, default_deadline_s: float, gate: Gate | None = None) -> None:
        """Without a gate there are no certificates, and everybody may try a token."""
        self._verifier = verifier
        self._gate = gate
        self._default_deadline_s = default_deadline_s
        self._scopes: dict[MethodDescriptor, str] = {}

    def caller(self, method: MethodDescriptor, metadata: Mapping[str, Any], context: Any) -> Caller:
        """Who calls. Raises `Unauthenticated`, or `PermissionDenied` naming the scope or whose certificate it is."""
        identity = self._gate.admit(context, method) if self._gate is not None else None
        caller = self._verifier.verify(bearer_token(metadata.get("authorization")))
        if self._gate is not None and identity is not None:
            self._gate.check_token(identity, caller)
        scope = self._scopes.get(method)
        if scope is None:
            scope = self._scopes[method] = method_scope(method)
        caller.require(scope)
        return caller

    def deadline(self, context: Any) -> float:
        remaining = context.time_remaining()
        if remaining is None or remaining > 86400:
            remaining = self._default_deadline_s
        return time.monotonic() + float(remaining) * _DEADLINE_SHARE


def contract_of(service_cls: type[Any]) -> ServiceDescriptor | None:
    """The contract a service class fulfils: ``contract`` where it says so, else `lienthong.<name>.v1.<Name>Service`."""
    try:
        return service_descriptor(getattr(service_cls, "contract", contract_name(service_cls.name)))
    except ContractError:
        if hasattr(service_cls, "contract"):
            raise
        return None


def snake_case(name: str) -> str:
    """Method name of an RPC name."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def bind(container: MeshContainer) -> tuple[ServiceDescriptor, dict[MethodDescriptor, Rpc]] | None:
    """Matches the methods of a service with its contract. Raises `ContractError` naming what is missing or extra."""
    contract = contract_of(container.service_cls)
    methods = {
        entrypoint.method_name: entrypoint for entrypoint in container.entrypoints if isinstance(entrypoint, Rpc)
    }
    if contract is None:
        if methods:
            raise ContractError(f"service {container.service_name} has RPCs but no contract")
        return None
    wanted = {snake_case(method.name): method for method in contract.methods}
    missing, extra = wanted.keys() - methods.keys(), methods.keys() - wanted.keys()
    if missing or extra:
        raise ContractError(
            f"service {container.service_name} against {contract.full_name}: "
            f"missing {sorted(missing) or 'nothing'}, extra {sorted(extra) or 'nothing'}"
        )
    for name, method in wanted.items():
        if not method_scope(method):
            raise ContractError(f"{method.full_name} declares no scope: nobody could call it")
        lookup_of(method)  # raises where it is declared one and cannot be
        methods[name].request_type = message_factory.GetMessageClass(method.input_type)
        methods[name].answer_type = message_factory.GetMessageClass(method.output_type)
        methods[name].on_loop = runs_on_loop(container.service_cls, name)
        if methods[name].on_loop and (method.client_streaming or not method.server_streaming):
            raise ContractError(f"{method.full_name} cannot run on the loop: only a stream of responses can")
    return contract, {method: methods[name] for name, method in wanted.items()}


def handlers(container: MeshContainer, door: Door) -> grpc.GenericRpcHandler | None:
    """gRPC handlers of a service; ``None`` when it has no contract."""
    bound = bind(container)
    if bound is None:
        return None
    contract, methods = bound
    return grpc.method_handlers_generic_handler(
        contract.full_name,
        {method.name: _handler(Served(container, door, method, entrypoint)) for method, entrypoint in methods.items()},
    )


def _handler(served: Served) -> Any:
    method, entrypoint = served.method, served.entrypoint
    kinds: dict[tuple[bool, bool], tuple[Any, Any]] = {
        (False, False): (grpc.unary_unary_rpc_method_handler, served.unary),
        (False, True): (grpc.unary_stream_rpc_method_handler, served.unary_stream),
        (True, False): (grpc.stream_unary_rpc_method_handler, served.stream_unary),
        (True, True): (
            grpc.stream_stream_rpc_method_handler,
            served.each_message if entrypoint.each_message else served.stream_stream,
        ),
    }
    make, behaviour = kinds[method.client_streaming, method.server_streaming]
    serialize: Callable[[Any], bytes] = entrypoint.answer_type.SerializeToString
    if entrypoint.on_loop:
        behaviour, serialize = served.on_loop, serialized
    return make(behaviour, request_deserializer=entrypoint.request_type.FromString, response_serializer=serialize)


class Served:
    """One RPC of one service, as the gRPC server calls it."""

    def __init__(self, container: MeshContainer, door: Door, method: MethodDescriptor, entrypoint: Rpc) -> None:
        self._container = container
        self._door = door
        self.method = method
        self.entrypoint = entrypoint
        self._name = f"{method.containing_service.full_name}/{method.name}"
        self._limit = container.settings.runtime.queue_limit
        lookup = lookup_of(method)
        self._elsewhere = None if lookup is None else Elsewhere(container.host, lookup)

    async def unary(self, request: Message, context: Any) -> Message:
        return await answer(self._name, context, partial(self._unary, request, context))

    async def _unary(self, request: Message, context: Any, metadata: Mapping[str, Any]) -> Message:
        caller = self._door.caller(self.method, metadata, context)
        check(request)
        deadline = self._door.deadline(context)
        if self._elsewhere is not None and self._elsewhere.is_meant(request):
            return await self._elsewhere.ask(request, caller, deadline)
        self._container.in_flight += 1
        try:
            if self._container.in_flight > self._limit:
                raise ResourceExhausted("too many calls are waiting", retry_after_s=0.5)
            [result] = await self._perform([self._call(request, caller, deadline)], deadline)
        finally:
            self._container.in_flight -= 1
        return _raised(result)

    async def _perform(self, calls: list[Call], deadline: float) -> list[Any]:
        """Runs calls; while database or broker are away, tries again until the deadline."""
        # A driver that looks for its server knows no deadline of ours. What is cut off here is not committed
        # later: commits drop what is past its deadline.
        with self._container.host.deadlines.after(deadline - time.monotonic()):
            results = await self._container.runs.perform(calls)
            if any(isinstance(result, Unavailable) for result in results):
                await self._try_again(calls, results, deadline)
            return results
        return [self._late()] * len(calls)

    async def _try_again(self, calls: list[Call], results: list[Any], deadline: float) -> None:
        """Replaces the results of calls for which something was away, until nothing is or the deadline is near."""
        wait = 0.05
        while time.monotonic() + wait < deadline:
            away = [index for index, result in enumerate(results) if isinstance(result, Unavailable)]
            if not away:
                break
            await asyncio.sleep(wait)
            wait = min(wait * 2, _MAX_BACKOFF_S)
            again = await self._container.runs.perform([calls[index].again() for index in away])
            for index, result in zip(away, again, strict=True):
                results[index] = result

    def _late(self) -> MeshError:
        if not self._container.writes or self._container.mongo.topology_description.has_writable_server():
            return DeadlineExceeded("not done in time")
        return Unavailable("the database did not answer in time")

    async def each_message(self, requests: AsyncIterator[Message], context: Any) -> AsyncIterator[Message]:
        """Runs each message as a unit of its own; those that have already arrived share a commit."""
        async for response in stream(self._name, context, self._each_message(requests, context)):
            yield response

    async def _each_message(self, requests: AsyncIterator[Message], context: Any) -> AsyncIterator[Message]:
        caller = self._door.caller(self.method, _metadata(context), context)
        arrived: asyncio.Queue[Message | None] = asyncio.Queue(2 * _RUN_CAP)
        reading = asyncio.create_task(_read_into(requests, arrived))
        try:
            ended = False
            cap = _RUN_CAP
            while not ended:
                batch = [await arrived.get()]
                while not arrived.empty() and len(batch) < cap:
                    batch.append(arrived.get_nowait())
                ended = batch[-1] is None
                started = time.monotonic()
                async for response in self._run_messages([item for item in batch if item is not None], caller):
                    yield response
                # An event waits for its whole run to be committed: large messages make small runs.
                share = _RUN_TARGET_S / max(time.monotonic() - started, 0.001)
                cap = max(1, min(_RUN_CAP, round(len(batch) * share)))
        finally:
            reading.cancel()

    async def _run_messages(self, messages: list[Message], caller: Caller) -> AsyncIterator[Message]:
        refused: MeshError | None = None
        good = []
        for message in messages:
            try:
                check(message)
            except MeshError as error:
                refused = error
                break
            good.append(message)
        if good:
            deadline = time.monotonic() + self._container.settings.default_deadline_s
            calls = [self._call(message, caller, deadline) for message in good]
            for result in await self._perform(calls, deadline):
                yield _raised(result)
        if refused is not None:
            raise refused

    async def unary_stream(self, request: Message, context: Any) -> AsyncIterator[Message]:
        async for response in stream(self._name, context, self._stream(context, request)):
            yield response

    async def on_loop(self, request: Message, context: Any) -> None:
        """Writes responses itself, so that a reader who takes none can be cut off."""
        await answer(self._name, context, partial(self._on_loop, request, context))

    async def _on_loop(self, request: Message, context: Any, metadata: Mapping[str, Any]) -> None:
        caller = self._door.caller(self.method, metadata, context)
        check(request)
        await LoopStream(self._container, self._call(request, caller, None)).write_to(context)

    async def stream_stream(self, requests: AsyncIterator[Message], context: Any) -> AsyncIterator[Message]:
        async for response in stream(self._name, context, self._stream(context, requests)):
            yield response

    async def stream_unary(self, requests: AsyncIterator[Message], context: Any) -> Message:
        return await answer(self._name, context, partial(self._stream_unary, requests, context))

    async def _stream_unary(
        self, requests: AsyncIterator[Message], context: Any, metadata: Mapping[str, Any]
    ) -> Message:
        caller = self._door.caller(self.method, metadata, context)
        argument = RequestIterator(requests, self._container.host.loop)
        handler = HandlerStream(self._container, self._call(argument, caller, None), single=True)
        async for response in handler.responses():
            return response
        raise ContractError(f"{self._name} returned nothing")

    async def _stream(self, context: Any, request: Any) -> AsyncIterator[Message]:
        caller = self._door.caller(self.method, _metadata(context), context)
        if isinstance(request, Message):
            check(request)
        else:
            request = RequestIterator(request, self._container.host.loop)
        async for response in HandlerStream(self._container, self._call(request, caller, None)).responses():
            yield response

    def _call(self, argument: Any, caller: Caller, deadline: float | None) -> Call:
        return Call(self.entrypoint, (argument,), caller, deadline=deadline, method=self._name)


async def answer(name: str, context: Any, respond: Callable[[Mapping[str, Any]], Awaitable[T]]) -> T:
    """Answers one call inside its span; an error becomes a gRPC status with details."""
    metadata = _metadata(context)
    with server_span(name, metadata) as span:
        try:
            return await respond(metadata)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets a status
            known = _known(name, error)
            answered(span, known.code.name)
    await refuse(context, known)
    raise AssertionError("abort raises")


async def stream(name: str, context: Any, responses: AsyncIterator[Message]) -> AsyncIterator[Message]:
    """Answers one stream inside its span; an error ends it with a gRPC status with details."""
    with server_span(name, _metadata(context)) as span:
        try:
            async for response in responses:
                yield response
            return
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets a status
            known = _known(name, error)
            answered(span, known.code.name)
    await refuse(context, known)


def _known(name: str, error: Exception) -> MeshError:
    known = classify(error)
    if known is not error and not known.transient:
        _logger.error("%s failed", name, exc_info=error)
    return known


async def refuse(context: Any, error: MeshError) -> None:
    """Ends a call with the error's status and details."""
    await context.abort(error.code, error.message, error.trailing_metadata())


def _metadata(context: Any) -> dict[str, Any]:
    return dict(context.invocation_metadata() or ())


def _raised(result: Any) -> Message:
    if isinstance(result, MeshError):
        raise result
    message: Message = result
    return message


async def _read_into(requests: AsyncIterator[Message], arrived: asyncio.Queue[Message | None]) -> None:
    try:
        async for message in requests:
            await arrived.put(message)
    finally:
        await arrived.put(None)
