"""The services of this node, whether they run in this process or in another: their RPCs and their logs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import grpc.aio

from lienthong.mesh.v1 import GetHeadsRequest, LogEntry, ReadLogRequest
from mesh import log as logs
from mesh.breaker import Breaker
from mesh.client import Client, open_channel
from mesh.counter import heads
from mesh.errors import NotFound, Unavailable
from mesh.log_scopes import LOG_SCOPE
from mesh.marks import Start
from mesh.source import Delivery, LogBehind, Refilled
from mesh.unit import EVENTS_LOG, Raw

if TYPE_CHECKING:
    from mesh.container import MeshContainer
    from mesh.host import Host
    from mesh.log import Log

_NODE_SERVICE = "lienthong.mesh.v1.NodeService"
_DEADLINE_S = 5.0


class Neighbours:
    """Finds the services of this node. Clients of one address share a channel and a breaker."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._channels: dict[str, tuple[grpc.aio.Channel, Breaker]] = {}
        self._clients: dict[tuple[str, ...], Client] = {}

    def log_of(self, service: str, scope: str) -> LogBehind:
        """The `events` log of a service, as far as a scope of logs opens it."""
        return _LogOf(self, service, scope)

    def here(self, service: str) -> MeshContainer | None:
        """The service's container, if it runs in this process."""
        return self._host.containers.get(service)

    def client(self, service: str, *scopes: str) -> Client:
        """Client of the process that runs a service, to read its log as far as these scopes of logs open it.

        Raises `Unavailable` when no address is known.
        """
        return self._client(self._address(service), _NODE_SERVICE, LOG_SCOPE, *scopes)

    def caller(self, service: str, contract: str, scope: str) -> Client:
        """Client of a service, with a token of one scope. Raises `Unavailable` when no address is known."""
        host = self._host
        address = f"{_reached(host.settings.grpc_host)}:{host.port}" if self.here(service) else self._address(service)
        return self._client(address, contract, scope)

    async def close(self) -> None:
        """Closes what was opened."""
        await asyncio.gather(*(channel.close() for channel, _ in self._channels.values()))

    def _address(self, service: str) -> str:
        address = self._host.settings.services.get(service)
        if address is None:
            raise Unavailable(f"no process of this node is known to run service {service}")
        return address

    def _client(self, address: str, contract: str, *scopes: str) -> Client:
        wanted = (address, contract, *scopes)
        if wanted not in self._clients:
            if address not in self._channels:
                self._channels[address] = (
                    open_channel(address, self._host.tls_to(self._host.settings.locality)),
                    Breaker(address),
                )
            channel, breaker = self._channels[address]
            token = self._host.own_token(*scopes, audience=self._host.settings.locality)
            self._clients[wanted] = Client(contract, channel, token=token, deadline_s=_DEADLINE_S, breaker=breaker)
        return self._clients[wanted]


def _reached(listening_on: str) -> str:
    """Address under which a process reaches itself."""
    return "127.0.0.1" if listening_on in ("", "0.0.0.0", "[::]") else listening_on


class _LogOf:
    """`LogBehind` of a service of this node."""

    def __init__(self, neighbours: Neighbours, service: str, scope: str) -> None:
        self._neighbours = neighbours
        self._service = service
        self._scope = scope

    async def begin(self, everything: bool) -> Start:
        container = self._neighbours.here(self._service)
        if container is not None:
            start: Start = await container.in_thread(begin_here, container, everything)
            return start
        response = await self._heads(with_floors=everything)
        if everything:
            return Start(response.floor_position - 1, dict(response.floor_sequences))
        return Start(response.position, dict(response.sequences))

    async def heads(self) -> Mapping[str, int]:
        return (await self.begin(everything=False)).sequences

    async def announce(self, position: int, sequences: Mapping[str, int]) -> None:
        container = self._neighbours.here(self._service)
        if container is not None:
            await container.in_thread(raise_here, container, EVENTS_LOG, position, sequences)
        else:
            await self._heads(known_position=position, known_sequences=sequences)

    async def refill(self, line: str, after_sequence: int, limit: int) -> Refilled:
        container = self._neighbours.here(self._service)
        if container is not None:
            refilled: Refilled = await container.in_thread(refill_here, container, line, after_sequence, limit)
            return refilled
        known = await self._heads()
        request = ReadLogRequest(service=self._service, line=line, after_sequence=after_sequence, limit=limit)
        entries: list[Delivery] = []
        async for page in self._there().stream("ReadLog", request, deadline_s=_DEADLINE_S):
            entries += [delivery_read(entry) for entry in page.entries if entry.headers]
        return Refilled(entries, known.sequences.get(line, 0))

    async def _heads(self, **known: Any) -> Any:
        request = GetHeadsRequest(service=self._service, **known)
        return await self._there().call("GetHeads", request)

    def _there(self) -> Client:
        return self._neighbours.client(self._service, self._scope)


def begin_here(container: MeshContainer, everything: bool) -> Start:
    """Blocking: where a subscription declared now begins on this process's log."""
    log = container.logs.get(EVENTS_LOG)
    if log is None:
        raise NotFound("log", container.service_name)
    return start_of_log(container, log) if everything else Start(*heads(container.database, log))


def start_of_log(container: MeshContainer, log: Log) -> Start:
    """Blocking: where a subscription begins that wants all a log still holds."""
    position, sequences = heads(container.database, log)
    lowest = logs.floor(container.database, log)
    floors = logs.floor_sequences(container.database, log)
    # A line of which nothing is left begins at its head: what is gone is no hole.
    return Start(position if lowest is None else lowest - 1, {**sequences, **floors})


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


def delivery_read(entry: LogEntry) -> Delivery:
    """A delivery made from an entry that another process read from its log."""
    return Delivery(entry.line, entry.sequence, entry.position, dict(entry.headers), entry.data)
