"""`NodeService`: what the runtime of every service answers about itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from pymongo import ASCENDING

from lienthong.mesh import v1 as pb
from lienthong.mesh.v1 import node_service_pb2
from mesh import letters
from mesh import log as logs
from mesh.auth import Caller
from mesh.counter import heads
from mesh.effects import EFFECTS
from mesh.errors import InvalidArgument, NotFound
from mesh.log_scopes import LogAccess
from mesh.neighbours import raise_here, start_of_log
from mesh.pages import PAGE, page
from mesh.rpc import Door, answer, snake_case, stream
from mesh.unit import EVENTS_LOG, Raw
from mesh.validation import check

if TYPE_CHECKING:
    from mesh.container import MeshContainer
    from mesh.host import Host
    from mesh.log import Log
    from mesh.relay import Relay
    from mesh.subscribe import Flow

_CONTRACT = node_service_pb2.DESCRIPTOR.services_by_name["NodeService"]
_WHO_ASKS_DECIDES = frozenset({"GetHeads", "ReadLog"})
"""What of a log they tell follows from the caller's scopes."""
_STREAMED = 500
"""Entries of one message of a stream."""


def register(server: grpc.aio.Server, host: Host, door: Door) -> str:
    """Adds the service to the server; returns its full name."""
    node = Node(host)
    methods = {method.name: _handler(node, door, method) for method in _CONTRACT.methods}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_CONTRACT.full_name, methods),))
    return str(_CONTRACT.full_name)


def _handler(node: Node, door: Door, method: MethodDescriptor) -> Any:
    behaviour = getattr(node, snake_case(method.name))
    name = f"{_CONTRACT.full_name}/{method.name}"
    deserialize = message_factory.GetMessageClass(method.input_type).FromString
    serialize = message_factory.GetMessageClass(method.output_type).SerializeToString

    def arguments(request: Message, caller: Caller) -> tuple[Any, ...]:
        return (request, caller) if method.name in _WHO_ASKS_DECIDES else (request,)

    async def unary(request: Message, context: Any) -> Message:
        async def respond(metadata: Any) -> Message:
            caller = door.caller(method, metadata, context)
            check(request)
            return await asyncio.to_thread(behaviour, *arguments(request, caller))

        return await answer(name, context, respond)

    async def pages(request: Message, context: Any) -> AsyncIterator[Message]:
        async def responses() -> AsyncIterator[Message]:
            caller = door.caller(method, dict(context.invocation_metadata() or ()), context)
            check(request)
            iterator = await asyncio.to_thread(behaviour, *arguments(request, caller))
            while (response := await asyncio.to_thread(next, iterator, None)) is not None:
                yield response

        async for response in stream(name, context, responses()):
            yield response

    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(pages, deserialize, serialize)
    return grpc.unary_unary_rpc_method_handler(unary, deserialize, serialize)


class Node:
    """Blocking answers, one method per RPC."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def list_services(self, request: pb.ListServicesRequest) -> pb.ListServicesResponse:
        return pb.ListServicesResponse(locality=self._host.settings.locality, services=sorted(self._host.containers))

    def get_status(self, request: pb.GetStatusRequest) -> pb.GetStatusResponse:
        container = self._container(request.service)
        return pb.GetStatusResponse(
            logs=[_log_status(relay) for relay in list(container.relays.values())],
            subscriptions=sorted(_subscriptions(container), key=_by_subscription),
        )

    def get_heads(self, request: pb.GetHeadsRequest, caller: Caller) -> pb.GetHeadsResponse:
        access = self._access(caller, request)
        access.require_some()
        for line in request.known_sequences:
            access.require(line)
        container, log = self._log(request.service, request.log)
        if request.known_position or request.known_sequences:
            raise_here(container, log.name, request.known_position, dict(request.known_sequences))
        position, sequences = heads(container.database, log)
        response = pb.GetHeadsResponse(position=position, sequences=access.opened(sequences))
        if request.with_floors:
            start = start_of_log(container, log)
            response.floor_position = start.position + 1
            response.floor_sequences.update(access.opened(start.sequences))
        return response

    def read_log(self, request: pb.ReadLogRequest, caller: Caller) -> Iterator[pb.ReadLogResponse]:
        self._access(caller, request).require(request.line)
        container, log = self._log(request.service, request.log)
        return _log_pages(container, log, request)

    def read_effects(self, request: pb.ReadEffectsRequest) -> Iterator[pb.ReadEffectsResponse]:
        return _effect_pages(self._container(request.service), request)

    def list_marks(self, request: pb.ListMarksRequest) -> pb.ListMarksResponse:
        container = self._container(request.service)
        found = []
        for flow in list(container.flows):
            for reader in flow.readers:
                found += [
                    pb.Mark(
                        subscription=flow.handling.subscription,
                        stream=flow.source.stream,
                        line=line.line,
                        sequence=line.sequence,
                        start=line.start,
                        types=flow.handling.types,
                    )
                    for line in reader.lines
                ]
        return pb.ListMarksResponse(
            marks=sorted(found, key=_by_subscription),
            declarations=[_declaration(flow) for flow in list(container.flows)],
        )

    def list_dead_letters(self, request: pb.ListDeadLettersRequest) -> pb.ListDeadLettersResponse:
        database = self._container(request.service).database
        size = request.page_size or PAGE
        query = {"_id": {"$gt": request.page_token}} if request.page_token else {}
        found = list(database[letters.DEAD_LETTERS].find(query).sort("_id", ASCENDING).limit(size + 1))
        shown, token = page(found, size, lambda letter: str(letter["_id"]))
        return pb.ListDeadLettersResponse(dead_letters=map(_letter, shown), next_page_token=token)

    def retry_dead_letter(self, request: pb.RetryDeadLetterRequest) -> pb.RetryDeadLetterResponse:
        return pb.RetryDeadLetterResponse(dead_letter=self._ask(request.service, request.id, letters.RETRY))

    def drop_dead_letter(self, request: pb.DropDeadLetterRequest) -> pb.DropDeadLetterResponse:
        return pb.DropDeadLetterResponse(dead_letter=self._ask(request.service, request.id, letters.DROP))

    def _ask(self, service: str, id: str, state: str) -> pb.DeadLetter:
        container = self._container(service)
        letter = letters.ask(container.database, id, state)
        for flow in list(container.flows):
            for reader in flow.readers:
                reader.look_at_letters()
        return _letter(letter)

    def _container(self, service: str) -> MeshContainer:
        container = self._host.containers.get(service)
        if container is None:
            raise NotFound("service", service)
        return container

    def _access(self, caller: Caller, request: Any) -> LogAccess:
        return LogAccess(caller, self._host.settings.locality, request.service, request.log or EVENTS_LOG)

    def _log(self, service: str, name: str) -> tuple[MeshContainer, Log]:
        container = self._container(service)
        log = container.logs.get(name or EVENTS_LOG)
        if log is None:
            raise NotFound("log", name or EVENTS_LOG)
        return container, log


def _by_subscription(row: Any) -> tuple[str, ...]:
    return row.subscription, row.stream, getattr(row, "line", "")


def _log_status(relay: Relay) -> pb.LogStatus:
    status = relay.status()
    return pb.LogStatus(
        log=relay.log.name,
        stream=relay.log.stream,
        committed=status.committed,
        published=status.published,
        oldest_unpublished_s=status.oldest_unpublished_s,
    )


def _subscriptions(container: MeshContainer) -> Iterator[pb.SubscriptionStatus]:
    for flow in list(container.flows):
        lines = [line for reader in flow.readers for line in reader.lines]
        query = {"subscription": flow.handling.subscription, "stream": flow.source.stream}
        collection = container.database[letters.DEAD_LETTERS]
        waiting = collection.count_documents({**query, "state": letters.WAITING})
        yield pb.SubscriptionStatus(
            subscription=flow.handling.subscription,
            stream=flow.source.stream,
            handled=sum(line.sequence - line.start for line in lines),
            lag=asyncio.run_coroutine_threadsafe(flow.lag(), container.host.loop).result(),
            age_s=max((reader.age_s() for reader in flow.readers), default=0.0),
            parked_lines=sum(line.parked for line in lines),
            parked_events=waiting,
            dead_letters=collection.count_documents(query) - waiting,
        )


def _declaration(flow: Flow) -> pb.Declaration:
    return pb.Declaration(
        subscription=flow.handling.subscription,
        stream=flow.source.stream,
        subject=flow.source.subject.format(partition="*"),
        types=flow.handling.types,
        start_sequences=flow.started_at.sequences if flow.started_at else {},
        started=flow.started_at is not None,
    )


def _log_pages(container: MeshContainer, log: Log, request: pb.ReadLogRequest) -> Iterator[pb.ReadLogResponse]:
    if request.after_sequence and not request.line:
        raise InvalidArgument.field("after_sequence", "needs `line`")
    position, sequence, left = request.after_position, request.after_sequence, request.limit or None
    while left is None or left > 0:
        entries = logs.read(
            container.database,
            log,
            after_position=position,
            line=request.line or None,
            after_sequence=sequence,
            limit=min(_STREAMED, left or _STREAMED),
        )
        if not entries:
            return
        yield pb.ReadLogResponse(entries=[_entry(entry) for entry in entries])
        position, sequence = entries[-1]["_id"], entries[-1]["sequence"]
        left = None if left is None else left - len(entries)


def _effect_pages(container: MeshContainer, request: pb.ReadEffectsRequest) -> Iterator[pb.ReadEffectsResponse]:
    query: Raw = {}
    if request.HasField("since"):
        query = {"committed_at": {"$gte": request.since.ToDatetime(UTC)}}
    effects: list[pb.Effect] = []
    for effect in container.database[EFFECTS].find(query).sort("_id", ASCENDING):
        effects.append(_effect(effect))
        if len(effects) == _STREAMED:
            yield pb.ReadEffectsResponse(effects=effects)
            effects = []
    if effects:
        yield pb.ReadEffectsResponse(effects=effects)


def _entry(entry: Raw) -> pb.LogEntry:
    return pb.LogEntry(
        position=entry["_id"],
        line=entry["line"],
        sequence=entry["sequence"],
        subject=entry["subject"],
        headers=entry["headers"],
        data=bytes(entry["data"]),
        committed_at=entry["at"],
    )


def _effect(effect: Raw) -> pb.Effect:
    return pb.Effect(
        subscription=effect["subscription"],
        line=effect["line"],
        sequence=effect["sequence"],
        causation_id=effect["causation_id"],
        committed=effect["committed"],
        caused_at=effect["caused_at"],
        committed_at=effect["committed_at"],
    )


def _letter(letter: Raw) -> pb.DeadLetter:
    return pb.DeadLetter(
        id=letter["_id"],
        subscription=letter["subscription"],
        line=letter["line"],
        sequence=letter["sequence"],
        last_sequence=letter["last_sequence"],
        key=letter["key"],
        type=letter["type"],
        error=letter["error"],
        attempts=letter["attempts"],
        state=f"DEAD_LETTER_STATE_{letter['state']}",
        at=letter["at"],
    )
