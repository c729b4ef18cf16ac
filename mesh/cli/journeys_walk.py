"""Walks journeys: makes their calls, and waits until what must come of each has come.

Each step has a trace of its own. What comes of it carries that trace into every sector and locality, so it is told
apart from everything else that goes on.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from opentelemetry import context as opentelemetry_context

from mesh.cli import field_paths
from mesh.cli.journeys_calls import method_named
from mesh.cli.journeys_filling import RUN, filled
from mesh.cli.journeys_forms import Call, Journey, View
from mesh.cli.journeys_roads import PUT, Road
from mesh.cli.journeys_walked import Standing, Walked, WalkedJourney
from mesh.cli.requests import request_of
from mesh.cli.running import RunningMesh
from mesh.cli.tailing import Seen, Tail
from mesh.errors import MeshError
from mesh.telemetry import context_from

_LOOK_EVERY_S: Final = 0.1
_PAGE: Final = 1000
_CALL_WITHIN_S: Final = 30.0
_NOTHING: Final[Mapping[str, Any]] = {}


async def put_roads(mesh: RunningMesh, roads: list[Road]) -> None:
    """Puts the segments of the localities that run here; again is no change. Raises MeshError."""
    method = method_named(PUT)
    for road in roads:
        if road.locality in mesh.localities:
            road.request.request_id = f"journeys-{uuid.uuid4().hex}"
            client = mesh.client(road.locality, method.containing_service.full_name)
            await client.call(method.name, road.request)


async def walk(mesh: RunningMesh, tail: Tail, journey: Journey) -> WalkedJourney:
    """Walks one journey; `tail` has started, and sees all its localities."""
    gone = WalkedJourney(journey, absent=sorted(journey.localities - set(mesh.localities)))
    if not gone.absent:
        await _Walk(mesh, tail, gone).through()
    return gone


class _Walk:
    """One journey on its way."""

    def __init__(self, mesh: RunningMesh, tail: Tail, gone: WalkedJourney) -> None:
        self._mesh = mesh
        self._tail = tail
        self._gone = gone
        self._run = uuid.uuid4().hex[:6]
        self._names = {RUN: self._run}
        self._now = datetime.now(UTC)
        self._calls = 0

    async def through(self) -> None:
        """A refused call ends it; where an event is missing it goes on, so that what was done is undone."""
        try:
            for call in self._gone.journey.prepare:
                await self._call(call)
        except MeshError as refused:
            self._gone.problems.append(str(refused))
            return
        for step in self._gone.journey.steps:
            walked = Walked(step, secrets.token_hex(16))
            self._gone.steps.append(walked)
            try:
                await self._take(walked)
            except MeshError as refused:
                walked.problems.append(str(refused))
                return

    async def _take(self, walked: Walked) -> None:
        traceparent = f"00-{walked.trace}-{secrets.token_hex(8)}-01"
        token = opentelemetry_context.attach(context_from(traceparent))
        try:
            await self._call(walked.step)
        finally:
            opentelemetry_context.detach(token)
        walked.answered_s = time.monotonic() - walked.began
        ends_at = walked.began + walked.step.within_s
        await self._wait_for_events(walked, ends_at)
        for name, expected in walked.step.stands.items():
            view = self._gone.journey.views[name]
            for slug in view.at:
                standing = await self._wait_for_rows(Standing(name, slug, view, expected, []), ends_at)
                walked.standing.append(standing)
                if not standing.met:
                    walked.problems.append(f"{name} in {slug}: {expected} must stand, {len(standing.rows)} do")
        await self._note_all()

    async def _wait_for_events(self, walked: Walked, ends_at: float) -> None:
        while missing := walked.missing():
            seen = await self._tail.next(max(0.0, ends_at - time.monotonic()))
            if seen is None:
                for slug, name in missing:
                    walked.problems.append(f"no {name} in {slug} within {walked.step.within_s:g} s")
                return
            self._note(seen)

    async def _wait_for_rows(self, standing: Standing, ends_at: float) -> Standing:
        while True:
            standing.rows = await self._rows(standing.view, standing.locality)
            if standing.met or time.monotonic() >= ends_at:
                return standing
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _note_all(self) -> None:
        while seen := await self._tail.next(0):
            self._note(seen)

    def _note(self, seen: Seen) -> None:
        """Adds an event to what came of its step; others are not of this journey."""
        trace = (seen.event.traceparent_birth or seen.event.traceparent)[3:35]
        for walked in self._gone.steps:
            if walked.trace == trace:
                walked.came.append(seen)

    async def _call(self, call: Call) -> None:
        answer = await self._ask(call, call.at)
        for name, path in call.keep.items():
            self._names[name] = "".join(field_paths.text(*found) for found in field_paths.values(answer, path))

    async def _ask(self, asked: Call | View, slug: str, more: Mapping[str, Any] = _NOTHING) -> Any:
        self._calls += 1
        method = method_named(asked.call)
        given = {**filled(asked.request, self._names, self._now), **more}
        request = request_of(method, given, request_id=f"journey-{self._run}-{self._calls}")
        client = self._mesh.client(slug, method.containing_service.full_name)
        return await client.call(method.name, request, deadline_s=_CALL_WITHIN_S)

    async def _rows(self, view: View, slug: str) -> list[Any]:
        """Rows of all pages that are of this run."""
        rows: list[Any] = []
        where = filled(view.where, self._names, self._now)
        token = ""
        while True:
            answer = await self._ask(view, slug, {"page_size": _PAGE, "page_token": token})
            field = field_paths.rows_field(answer.DESCRIPTOR).name
            rows += [row for row in getattr(answer, field) if _is_meant(row, where)]
            token = answer.next_page_token
            if not token:
                return rows


def _is_meant(row: Any, where: dict[str, str]) -> bool:
    return all(
        wanted in [field_paths.text(*found) for found in field_paths.values(row, path)]
        for path, wanted in where.items()
    )
