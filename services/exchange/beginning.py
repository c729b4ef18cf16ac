"""Where a subscription begins that wants the events from one moment on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from lienthong.mesh.v1 import ReadLogRequest
from mesh import log as logs
from mesh.log_scopes import LOCAL_EVENTS, log_scope
from mesh.marks import Start
from mesh.source import LogBehind, Refilled
from mesh.unit import EVENTS_LOG

_PAGE = 1000
_SCOPE = log_scope(LOCAL_EVENTS)
"""Its interest follows from agreements: it may read whatever is born in its locality."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What of a log entry tells where a moment lies."""

    position: int
    line: str
    sequence: int
    at: datetime


class LogSince:
    """`LogBehind` of a service of this node, begun at a moment instead of at its heads.

    So an agreement carries what happens after it was applied, however long it takes to get its subscription going.
    """

    def __init__(self, host: Any, service: str, since: datetime) -> None:
        self._host = host
        self._service = service
        self._since = since
        self._log: LogBehind = host.neighbours.log_of(service, _SCOPE)

    async def begin(self, everything: bool) -> Start:
        """Where the log stood at the moment. Found by bisection: 20 reads in a log of a million entries."""
        head = await self._log.begin(everything=False)
        before, behind = 0, head.position
        while before < behind:
            middle = (before + behind) // 2
            async with aclosing(self._read(middle, limit=1)) as entries:
                entry = await anext(entries, None)
            if entry is None or entry.at >= self._since:
                behind = middle
            else:
                before = entry.position
        sequences = dict(head.sequences)
        async for entry in self._read(behind):
            sequences[entry.line] = min(sequences.get(entry.line, entry.sequence - 1), entry.sequence - 1)
        return Start(behind, {line: sequence for line, sequence in sequences.items() if line})

    async def heads(self) -> Mapping[str, int] | None:
        return await self._log.heads()

    async def announce(self, position: int, sequences: Mapping[str, int]) -> None:
        await self._log.announce(position, sequences)

    async def refill(self, line: str, after_sequence: int, limit: int) -> Refilled:
        return await self._log.refill(line, after_sequence, limit)

    def _read(self, after_position: int, limit: int = 0) -> AsyncGenerator[Entry, None]:
        here = self._host.neighbours.here(self._service)
        return self._read_here(here, after_position, limit) if here else self._read_there(after_position, limit)

    async def _read_here(self, container: Any, after_position: int, limit: int) -> AsyncGenerator[Entry, None]:
        log = container.logs[EVENTS_LOG]
        while True:
            read = partial(logs.read, container.database, log, after_position=after_position, limit=limit or _PAGE)
            page = await container.in_thread(read)
            for entry in page:
                yield Entry(entry["_id"], entry["line"], entry["sequence"], entry["at"])
            if limit or not page:
                return
            after_position = page[-1]["_id"]

    async def _read_there(self, after_position: int, limit: int) -> AsyncGenerator[Entry, None]:
        client = self._host.neighbours.client(self._service, _SCOPE)
        request = ReadLogRequest(service=self._service, after_position=after_position, limit=limit)
        async for page in client.stream("ReadLog", request, deadline_s=60):
            for entry in page.entries:
                yield Entry(entry.position, entry.line, entry.sequence, entry.committed_at.ToDatetime(tzinfo=UTC))
