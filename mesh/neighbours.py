"""Logs of this node's services, whether they run in this process or in another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import grpc
from lienthong.mesh.v1 import GetHeadsRequest, ReadLogRequest
from lienthong.mesh.v1.node_service_pb2_grpc import NodeServiceStub

from mesh import log as logs
from mesh.auth import TokenSource
from mesh.commit import heads
from mesh.errors import NotFound, Unavailable, from_rpc_error
from mesh.marks import Start
from mesh.source import Delivery, LogBehind, Refilled
from mesh.unit import EVENTS_LOG, Raw

if TYPE_CHECKING:
    from mesh.container import MeshContainer
    from mesh.host import Host

_DEADLINE_S = 5.0


class Neighbours:
    """Finds the log behind a stream of this node."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._channels: dict[str, grpc.aio.Channel] = {}

    def log_of(self, service: str) -> LogBehind:
        return _LogOf(self, service)

    def here(self, service: str) -> MeshContainer | None:
        return self._host.containers.get(service)

    def stub(self, service: str) -> NodeServiceStub:
        """Stub of the process that runs a service. Raises `Unavailable` when no address is known."""
        address = self._host.settings.services.get(service)
        if address is None:
            raise Unavailable(f"no process of this node is known to run service {service}")
        if address not in self._channels:
            self._channels[address] = grpc.aio.insecure_channel(address)
        return NodeServiceStub(self._channels[address])  # type: ignore[no-untyped-call]

    def metadata(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self._token_source()()}")]

    def _token_source(self) -> TokenSource:
        return self._host.own_token("mesh.log", audience=self._host.settings.locality)

    async def close(self) -> None:
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))


class _LogOf:
    """`LogBehind` of a service of this node."""

    def __init__(self, neighbours: Neighbours, service: str) -> None:
        self._neighbours = neighbours
        self._service = service

    async def begin(self, everything: bool) -> Start:
        container = self._neighbours.here(self._service)
        if container is not None:
            return await container.in_thread(begin_here, container, everything)  # type: ignore[no-any-return]
        response = await self._call("GetHeads", GetHeadsRequest(service=self._service))
        if everything:
            return Start(response.floor_position - 1, dict(response.floor_sequences))
        return Start(response.position, dict(response.sequences))

    async def heads(self) -> Mapping[str, int]:
        container = self._neighbours.here(self._service)
        if container is not None:
            return (await container.in_thread(begin_here, container, False)).sequences  # type: ignore[no-any-return]
        response = await self._call("GetHeads", GetHeadsRequest(service=self._service))
        return dict(response.sequences)

    async def announce(self, position: int, sequences: Mapping[str, int]) -> None:
        container = self._neighbours.here(self._service)
        if container is not None:
            await container.in_thread(raise_here, container, EVENTS_LOG, position, sequences)
        else:
            request = GetHeadsRequest(service=self._service, known_position=position, known_sequences=sequences)
            await self._call("GetHeads", request)

    async def refill(self, line: str, after_sequence: int, limit: int) -> Refilled:
        container = self._neighbours.here(self._service)
        if container is not None:
            return await container.in_thread(refill_here, container, line, after_sequence, limit)  # type: ignore[no-any-return]
        known = await self._call("GetHeads", GetHeadsRequest(service=self._service))
        stub = self._neighbours.stub(self._service)
        request = ReadLogRequest(service=self._service, line=line, after_sequence=after_sequence, limit=limit)
        entries = []
        try:
            async for page in stub.ReadLog(request, timeout=_DEADLINE_S, metadata=self._neighbours.metadata()):
                entries += [
                    Delivery(entry.line, entry.sequence, entry.position, dict(entry.headers), entry.data)
                    for entry in page.entries
                    if entry.headers
                ]
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        return Refilled(entries, known.sequences.get(line, 0))

    async def _call(self, method: str, request: GetHeadsRequest):  # type: ignore[no-untyped-def]
        stub = self._neighbours.stub(self._service)
        try:
            return await getattr(stub, method)(request, timeout=_DEADLINE_S, metadata=self._neighbours.metadata())
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error


def begin_here(container: MeshContainer, everything: bool) -> Start:
    """Blocking: where a subscription declared now begins on this process's log."""
    log = container.logs.get(EVENTS_LOG)
    if log is None:
        raise NotFound("log", container.service_name)
    position, sequences = heads(container.database, log)
    if everything:
        lowest = logs.floor(container.database, log)
        if lowest is not None:
            return Start(lowest - 1, logs.floor_sequences(container.database, log))
    return Start(position, sequences)


def raise_here(container: MeshContainer, log_name: str, position: int, sequences: Mapping[str, int]) -> None:
    """Blocking: raises this process's counters above what a subscriber has seen, if they are behind."""
    log = container.logs.get(log_name)
    if log is None:
        return
    at, known = heads(container.database, log)
    higher = {line: n for line, n in sequences.items() if n > known.get(line, 0)}
    if position > at or higher:
        container.committer.raise_heads(log, position, higher)


def refill_here(container: MeshContainer, line: str, after_sequence: int, limit: int) -> Refilled:
    """Blocking: a line of this process's log."""
    log = container.logs[EVENTS_LOG]
    _, sequences = heads(container.database, log)
    entries = logs.read(container.database, log, line=line, after_sequence=after_sequence, limit=limit)
    return Refilled([delivery_from(entry) for entry in entries if entry["headers"]], sequences.get(line, 0))


def delivery_from(entry: Raw) -> Delivery:
    """A delivery made from a log entry; its position is the stream's sequence."""
    return Delivery(entry["line"], entry["sequence"], entry["_id"], dict(entry["headers"]), bytes(entry["data"]))
