"""The log behind a stream, read by position: in this process, or over gRPC where the service runs in another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from pymongo.errors import PyMongoError

from lienthong.mesh.v1 import GetHeadsRequest, ReadLogRequest
from mesh import log as logs
from mesh.client import Client
from mesh.container import MeshContainer
from mesh.counter import heads
from mesh.errors import Unavailable
from mesh.log import Log
from mesh.log_scopes import LOCAL_EVENTS, PEERS_EVENTS, log_scope
from mesh.neighbours import Neighbours, delivery_from, delivery_read
from mesh.source import Delivery
from mesh.unit import EVENTS_LOG

_DEADLINE_S = 5.0
_SCOPES = (log_scope(LOCAL_EVENTS), log_scope(PEERS_EVENTS))
"""Whatever its subscribers may ask for."""


class LogPages(Protocol):
    """A log that can be read by position."""

    async def end(self) -> int:
        """Highest position committed. Raises `Unavailable`."""

    async def page(self, after: int, limit: int) -> list[Delivery]:
        """The next entries it still has, those without an event included. Raises `Unavailable`."""


class LogBehind:
    """The `events` log of one service of this node."""

    def __init__(self, neighbours: Neighbours, service: str) -> None:
        self._neighbours = neighbours
        self._service = service

    async def end(self) -> int:
        """Highest position committed."""
        here = self._neighbours.here(self._service)
        if here is None:
            response = await self._there().call("GetHeads", GetHeadsRequest(service=self._service))
            return int(response.position)
        log = self._log(here)
        position, _ = await _read(here, lambda: heads(here.database, log))
        return int(position)

    async def page(self, after: int, limit: int) -> list[Delivery]:
        """The next entries it still has."""
        here = self._neighbours.here(self._service)
        if here is None:
            return await self._page_from_there(after, limit)
        log = self._log(here)
        entries = await _read(here, lambda: logs.read(here.database, log, after_position=after, limit=limit))
        return [delivery_from(entry) for entry in entries]

    async def _page_from_there(self, after: int, limit: int) -> list[Delivery]:
        request = ReadLogRequest(service=self._service, after_position=after, limit=limit)
        found: list[Delivery] = []
        async for page in self._there().stream("ReadLog", request, deadline_s=_DEADLINE_S):
            found += map(delivery_read, page.entries)
        return found

    def _there(self) -> Client:
        return self._neighbours.client(self._service, *_SCOPES)

    def _log(self, container: MeshContainer) -> Log:
        log = container.logs.get(EVENTS_LOG)
        if log is None:
            raise Unavailable(f"service {self._service} has not opened its log")
        return log


async def _read(container: MeshContainer, read: Callable[[], Any]) -> Any:
    try:
        return await container.in_thread(read)
    except PyMongoError as error:
        raise Unavailable(f"the log of {container.service_name} cannot be read") from error
