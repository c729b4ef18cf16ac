"""Waits until a mesh has caught up: everything logged is published, read, shared, admitted and acted on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lienthong.environment.v1 import CloseHoursRequest
from lienthong.exchange.v1 import AGREEMENT_STATE_ACTIVE
from lienthong.mesh import v1
from mesh.cli.agreement_state import held_at
from mesh.cli.running import ENVIRONMENT, RunningMesh
from mesh.errors import TransientError

PATIENCE_S: Final = 180.0
"""How long nothing may move before the wait is given up; an outage of a minute is waited for."""
_LOOK_EVERY_S: Final = 0.15
_LOOK_WHILE_BUSY_S: Final = 0.5
"""A look costs the services some milliseconds that they need for catching up."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at everything: what has been committed, and what is still owed."""

    committed: tuple[int, ...]
    handled: int
    owed: dict[str, int]
    """Events still owed, by what owes them."""

    @property
    def quiet(self) -> bool:
        return not self.owed


async def caught_up(mesh: RunningMesh, on_look: Callable[[dict[str, int]], None] = lambda owed: None) -> bool:
    """Waits until nothing is owed; returns False when for `PATIENCE_S` nothing has moved.

    Two looks in a row must be quiet and find the same numbers committed: an event may be between two services while
    we look at one after the other.
    """
    before: Look | None = None
    moved_at = time.monotonic()
    while True:
        try:
            look = await _look(mesh)
        except TransientError as away:
            look = Look((), 0, {f"a service does not answer ({away})": 1})
        on_look(look.owed)
        if before is not None and look.quiet and before.quiet and look.committed == before.committed:
            return True
        if before is None or look != before:
            moved_at = time.monotonic()
        if time.monotonic() - moved_at > PATIENCE_S:
            return False
        before = look
        await asyncio.sleep(_LOOK_EVERY_S if look.quiet else _LOOK_WHILE_BUSY_S)


async def _look(mesh: RunningMesh) -> Look:
    names = [(slug, name) for slug in mesh.localities for name in await mesh.services(slug)]
    statuses = await asyncio.gather(
        *(mesh.ask(slug, "GetStatus", v1.GetStatusRequest(service=name)) for slug, name in names)
    )
    owed: dict[str, int] = {}
    for (slug, name), status in zip(names, statuses, strict=True):
        for log in status.logs:
            owed[f"relay of {slug} {name} {log.log}"] = log.committed - log.published
        for of in status.subscriptions:
            owed[f"{slug} {of.subscription}"] = owed.get(f"{slug} {of.subscription}", 0) + of.lag + of.parked_lines
    shares = await asyncio.gather(*(_not_admitted(mesh, slug) for slug in mesh.localities))
    for share in shares:
        owed |= share
    return Look(
        committed=tuple(log.committed for status in statuses for log in status.logs),
        handled=sum(of.handled for status in statuses for of in status.subscriptions),
        owed={what: count for what, count in owed.items() if count},
    )


async def _not_admitted(mesh: RunningMesh, recipient: str) -> dict[str, int]:
    """What providers have shared under ACTIVE agreements and the recipient has not admitted yet."""
    active = [agreement for agreement in await held_at(mesh, recipient) if agreement.state == AGREEMENT_STATE_ACTIVE]
    providers = {agreement.provider for agreement in active} & set(mesh.localities) - {recipient}
    if not providers:
        return {}
    answer = await mesh.ask(recipient, "ListMarks", v1.ListMarksRequest(service="exchange"))
    marks = {mark.line: mark.sequence for mark in answer.marks if mark.stream.startswith("RECEIVED_")}
    owed = {}
    for provider in providers:
        mine = {agreement.id for agreement in active if agreement.provider == provider}
        heads = await _share_heads(mesh, provider, recipient)
        missing = [head - marks.get(line, 0) for line, head in heads.items() if line.split("/")[0] in mine]
        owed[f"{recipient} admits from {provider}"] = sum(max(0, count) for count in missing)
    return owed


async def _share_heads(mesh: RunningMesh, provider: str, recipient: str) -> dict[str, int]:
    log = f"shared-{recipient}"
    status = await mesh.ask(provider, "GetStatus", v1.GetStatusRequest(service="exchange"))
    if log not in {known.log for known in status.logs}:
        return {}
    heads = await mesh.ask(provider, "GetHeads", v1.GetHeadsRequest(service="exchange", log=log))
    return dict(heads.sequences)


async def close_hours(mesh: RunningMesh, run: str) -> int:
    """Closes every open hour of every locality, as if its time had passed; returns how many."""
    closed = 0
    for slug in mesh.localities:
        calls = 0
        while True:
            calls += 1
            request = CloseHoursRequest(request_id=f"close-{run}-{slug}-{calls}")
            answer = await mesh.client(slug, ENVIRONMENT).call("CloseHours", request, deadline_s=120.0)
            closed += answer.closed
            if not answer.remaining:
                break
    return closed


async def subscribed(mesh: RunningMesh, on_look: Callable[[dict[str, int]], None] = lambda owed: None) -> None:
    """Waits until every subscription has its beginning, and every ACTIVE agreement is carried at both ends.

    What is emitted before a NEW subscription begins is not its affair: whoever feeds a mesh waits for this first.
    """
    while True:
        try:
            missing = await _not_begun(mesh)
        except TransientError as away:
            missing = {f"a service does not answer ({away})": 1}
        on_look(missing)
        if not missing:
            return
        await asyncio.sleep(_LOOK_EVERY_S)


async def _not_begun(mesh: RunningMesh) -> dict[str, int]:
    missing: dict[str, int] = {}
    begun: dict[str, set[str]] = {}
    for slug in mesh.localities:
        begun[slug] = set()
        for name in await mesh.services(slug):
            answer = await mesh.ask(slug, "ListMarks", v1.ListMarksRequest(service=name))
            for declared in answer.declarations:
                begun[slug].add(declared.subscription)
                if not declared.started:
                    missing[f"{slug} {declared.subscription}"] = 1
    for slug in mesh.localities:
        for agreement in await held_at(mesh, slug):
            if agreement.state == AGREEMENT_STATE_ACTIVE and agreement.events:
                gives = slug == agreement.provider
                wanted = f"exchange.{agreement.id}." if gives else f"exchange.from.{agreement.provider}"
                if not any(name.startswith(wanted) for name in begun[slug]):
                    missing[f"{slug} {wanted.rstrip('.')}"] = 1
    return missing
