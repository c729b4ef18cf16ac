"""What a mesh has logged, read and done, fetched in the order in which it can be judged while it goes on.

Marks first, then letters, effects, logs, streams: an event a mark covers has its effect or letter in what is read
later, and every effect's event is in a log that is read later still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from lienthong.mesh import v1
from mesh.cli.records import EffectRecord, Entry, Letter, LogRecord, ServiceRecord, Snapshot, Watch
from mesh.cli.running import RunningMesh

T = TypeVar("T")
Places = list[tuple[str, str]]
"""Localities and services."""


async def take(mesh: RunningMesh) -> Snapshot:
    """Fetches everything from every service. Raises a MeshError when one does not answer."""
    names = [(slug, name) for slug in mesh.localities for name in await mesh.services(slug)]
    statuses = await _each(names, lambda slug, name: _status(mesh, slug, name))
    watches = await _each(names, lambda slug, name: _watches(mesh, slug, name))
    letters = await _each(names, lambda slug, name: dead_letters(mesh, slug, name))
    effects = await _each(names, lambda slug, name: _effects(mesh, slug, name))
    logs = await asyncio.gather(
        *(
            _log(mesh, slug, name, log)
            for (slug, name), status in zip(names, statuses, strict=True)
            for log in status.logs
        )
    )
    services = [
        ServiceRecord(slug, name, watches[at], _as_letters(letters[at]), effects[at])
        for at, (slug, name) in enumerate(names)
    ]
    return Snapshot(services, list(logs))


async def dead_letters(mesh: RunningMesh, locality: str, service: str) -> list[v1.DeadLetter]:
    """Every dead letter of a service, with those waiting behind."""
    found: list[v1.DeadLetter] = []
    request = v1.ListDeadLettersRequest(service=service, page_size=1000)
    while True:
        page = await mesh.ask(locality, "ListDeadLetters", request)
        found += page.dead_letters
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def log_entries(mesh: RunningMesh, locality: str, request: v1.ReadLogRequest) -> list[v1.LogEntry]:
    """Entries of a log, as the request asks for them."""
    return [entry async for page in mesh.pages(locality, "ReadLog", request) for entry in page.entries]


async def _each(names: Places, ask: Callable[[str, str], Awaitable[T]]) -> list[T]:
    return await asyncio.gather(*(ask(slug, name) for slug, name in names))


async def _status(mesh: RunningMesh, slug: str, name: str) -> v1.GetStatusResponse:
    status: v1.GetStatusResponse = await mesh.ask(slug, "GetStatus", v1.GetStatusRequest(service=name))
    return status


async def _watches(mesh: RunningMesh, slug: str, name: str) -> list[Watch]:
    answer = await mesh.ask(slug, "ListMarks", v1.ListMarksRequest(service=name))
    return [
        Watch(
            locality=slug,
            service=name,
            subscription=declared.subscription,
            stream=declared.stream,
            subject=declared.subject,
            types=frozenset(declared.types),
            start=dict(declared.start_sequences),
            marks={
                mark.line: mark.sequence
                for mark in answer.marks
                if (mark.subscription, mark.stream) == (declared.subscription, declared.stream)
            },
        )
        for declared in answer.declarations
        if declared.started
    ]


async def _effects(mesh: RunningMesh, slug: str, name: str) -> list[EffectRecord]:
    request = v1.ReadEffectsRequest(service=name)
    return [
        EffectRecord(
            subscription=effect.subscription,
            line=effect.line,
            sequence=effect.sequence,
            causation_id=effect.causation_id,
            committed=dict(effect.committed),
            caused_at=_moment(effect.caused_at),
            committed_at=_moment(effect.committed_at),
        )
        async for page in mesh.pages(slug, "ReadEffects", request)
        for effect in page.effects
    ]


async def _log(mesh: RunningMesh, slug: str, name: str, log: v1.LogStatus) -> LogRecord:
    entries = [_entry(entry) for entry in await log_entries(mesh, slug, v1.ReadLogRequest(service=name, log=log.log))]
    return LogRecord(slug, name, log.log, log.stream, log.published, entries)


def _entry(entry: v1.LogEntry) -> Entry:
    return Entry(
        position=entry.position,
        line=entry.line,
        sequence=entry.sequence,
        subject=entry.subject,
        type=entry.headers.get("ce-type", ""),
        id=entry.headers.get("ce-id", ""),
        source=entry.headers.get("ce-source", ""),
        causation_id=entry.headers.get("ce-causationid", ""),
        at=_moment(entry.committed_at),
    )


def _as_letters(found: list[v1.DeadLetter]) -> list[Letter]:
    return [
        Letter(
            subscription=letter.subscription,
            line=letter.line,
            first=letter.sequence,
            last=letter.last_sequence,
            error=letter.error,
            waiting=letter.state == v1.DEAD_LETTER_STATE_WAITING,
        )
        for letter in found
    ]


def _moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)
