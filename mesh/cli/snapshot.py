"""What a mesh has logged, read and done, fetched in the order in which it can be judged while it goes on.

Marks first, then letters, effects, logs, streams: an event a mark covers has its effect or letter in what is read
later, and every effect's event is in a log that is read later still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from sys import intern
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from lienthong.mesh import v1
from mesh.cli.records import EffectRecord, Entry, Letter, LogRecord, ServiceRecord, Snapshot, Watch
from mesh.cli.running import RunningMesh

T = TypeVar("T")
Places = list[tuple[str, str]]
"""Localities and services."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is kept of all that is read; the rest passes by page by page and takes no memory."""

    entry: Callable[[Entry], bool] = lambda entry: True
    effect: Callable[[EffectRecord], bool] = lambda effect: True


async def take(mesh: RunningMesh, wanted: Wanted = Wanted()) -> Snapshot:
    """Fetches what is wanted from every service. Raises a MeshError when one does not answer."""
    names = [(slug, name) for slug in mesh.localities for name in await mesh.services(slug)]
    statuses = await _each(names, lambda slug, name: _status(mesh, slug, name))
    watches = await _each(names, lambda slug, name: _watches(mesh, slug, name))
    letters = await _each(names, lambda slug, name: dead_letters(mesh, slug, name))
    effects = await _each(names, lambda slug, name: _effects(mesh, slug, name, wanted))
    logs = await asyncio.gather(
        *(
            _log(mesh, slug, name, log, wanted)
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


async def _effects(mesh: RunningMesh, slug: str, name: str, wanted: Wanted) -> list[EffectRecord]:
    pages = mesh.pages(slug, "ReadEffects", v1.ReadEffectsRequest(service=name))
    return [effect async for page in pages for effect in map(_effect, page.effects) if wanted.effect(effect)]


def _effect(effect: v1.Effect) -> EffectRecord:
    return EffectRecord(
        subscription=intern(effect.subscription),
        line=intern(effect.line),
        sequence=effect.sequence,
        causation_id=effect.causation_id,
        committed={intern(kind): count for kind, count in effect.committed.items()},
        caused_at=_moment(effect.caused_at),
        committed_at=_moment(effect.committed_at),
    )


async def _log(mesh: RunningMesh, slug: str, name: str, log: v1.LogStatus, wanted: Wanted) -> LogRecord:
    pages = mesh.pages(slug, "ReadLog", v1.ReadLogRequest(service=name, log=log.log))
    entries = [entry async for page in pages for entry in map(_entry, page.entries) if wanted.entry(entry)]
    return LogRecord(slug, name, log.log, log.stream, log.published, entries)


def _entry(entry: v1.LogEntry) -> Entry:
    """What is the same in many entries is one string: an entry takes 400 bytes instead of 740."""
    return Entry(
        position=entry.position,
        line=intern(entry.line),
        sequence=entry.sequence,
        subject=intern(entry.subject),
        type=intern(entry.headers.get("ce-type", "")),
        id=entry.headers.get("ce-id", ""),
        source=intern(entry.headers.get("ce-source", "")),
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
