"""`lienthong status`: how far every log, subscription and agreement of every locality has come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from lienthong.exchange.v1 import Agreement, AgreementState
from lienthong.mesh import v1
from mesh.cli.agreement_state import held_at, state_name
from mesh.cli.options import AsJson, DataDir, OneLocality
from mesh.cli.output import duration, out, print_json, table
from mesh.cli.running import RunningMesh, with_mesh
from mesh.errors import MeshError

_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """What one service of one locality answered."""

    locality: str
    service: str
    status: v1.GetStatusResponse


@dataclass(frozen=True, slots=True)
class MeshStatus:
    """What all of them answered."""

    services: list[ServiceStatus]
    agreements: list[tuple[str, Agreement]]
    """With the locality that was asked."""
    silent: dict[str, str]
    """Localities that did not answer, and why."""


def status(
    locality: OneLocality = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every second until Ctrl-C.")] = False,
    data: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show lag, age, parked lines, dead letters, relay position, agreements and their freshness.

    Example: lienthong status --locality hue --watch
    """
    with_mesh(data, lambda mesh: _watch(mesh, locality, as_json) if watch else _once(mesh, locality, as_json))


async def _once(mesh: RunningMesh, locality: str | None, as_json: bool) -> None:
    found = await ask(mesh, mesh.chosen(locality))
    if as_json:
        print_json(_as_json(found))
    else:
        out.print(_shown(found))


async def _watch(mesh: RunningMesh, locality: str | None, as_json: bool) -> None:
    chosen = mesh.chosen(locality)
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        if as_json:
            while True:
                print_json(_as_json(await ask(mesh, chosen)), one_line=True)
                await asyncio.sleep(_EVERY_S)
        with Live(_shown(await ask(mesh, chosen)), console=out, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                await asyncio.sleep(_EVERY_S)
                live.update(_shown(await ask(mesh, chosen)), refresh=True)


async def ask(mesh: RunningMesh, localities: Iterable[str]) -> MeshStatus:
    """Asks every service; a locality that does not answer is noted and holds up nobody."""
    found = MeshStatus([], [], {})
    await asyncio.gather(*(_ask_locality(mesh, slug, found) for slug in localities))
    found.services.sort(key=lambda one: (mesh.localities.index(one.locality), one.service))
    return found


async def _ask_locality(mesh: RunningMesh, slug: str, found: MeshStatus) -> None:
    try:
        async with asyncio.timeout(5):
            for name in await mesh.services(slug):
                answer = await mesh.ask(slug, "GetStatus", v1.GetStatusRequest(service=name))
                found.services.append(ServiceStatus(slug, name, answer))
            found.agreements.extend((slug, agreement) for agreement in await held_at(mesh, slug))
    except (MeshError, TimeoutError) as error:
        found.silent[slug] = str(error) or type(error).__name__


# For people


def _shown(found: MeshStatus) -> RenderableType:
    parts: list[RenderableType] = []
    columns = ["locality", "subscription", "stream", ">handled", ">lag", ">age", ">parked", ">held", ">dead"]
    parts.append(table(columns, _subscription_rows(found), title="Subscriptions"))
    columns = ["locality", "log", "stream", ">committed", ">published", ">behind", ">oldest"]
    parts += ["", table(columns, _log_rows(found), title="Logs and their relays")]
    if found.agreements:
        columns = [
            "agreement",
            "from",
            "to",
            "at provider",
            "at recipient",
            ">shared",
            ">admitted",
            ">freshness",
            ">wanted",
        ]
        parts += ["", table(columns, _agreement_rows(found), title="Agreements")]
    parts += [Text(f"{slug} does not answer: {why}", style="red") for slug, why in found.silent.items()]
    return Group(*parts)


def _subscription_rows(found: MeshStatus) -> list[list[str]]:
    return [
        [
            one.locality,
            of.subscription,
            of.stream,
            f"{of.handled:,}",
            _warn(of.lag, "yellow"),
            duration(of.age_s) if of.age_s else "–",
            _warn(of.parked_lines, "yellow"),
            _warn(of.parked_events, "red"),
            _warn(of.dead_letters, "red"),
        ]
        for one in found.services
        for of in one.status.subscriptions
    ]


def _log_rows(found: MeshStatus) -> list[list[str]]:
    return [
        [
            one.locality,
            f"{one.service} {of.log}",
            of.stream,
            f"{of.committed:,}",
            f"{of.published:,}",
            _warn(of.committed - of.published, "yellow"),
            duration(of.oldest_unpublished_s) if of.oldest_unpublished_s else "–",
        ]
        for one in found.services
        for of in one.status.logs
    ]


def _agreement_rows(found: MeshStatus) -> list[list[str]]:
    return [
        [
            one["agreement"],
            one["provider"],
            one["recipient"],
            _state(one["at_provider"]),
            _state(one["at_recipient"]),
            _count(one["shared"]),
            _count(one["admitted"]),
            "level" if one["freshness_s"] == 0 else duration(one["freshness_s"]),
            duration(one["wanted_s"]) if one["wanted_s"] else "–",
        ]
        for one in _agreements(found)
    ]


def _warn(count: int, style: str) -> str:
    return f"[{style}]{count:,}[/{style}]" if count else "0"


def _count(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


def _state(name: str | None) -> str:
    return {None: "–", "ACTIVE": "[green]ACTIVE[/green]"}.get(name, f"[yellow]{name}[/yellow]")


# For programs, and what both share


def _agreements(found: MeshStatus) -> list[dict[str, Any]]:
    """Each agreement once, as both parties hold it."""
    merged: dict[str, dict[str, Any]] = {}
    for slug, agreement in found.agreements:
        one = merged.setdefault(
            agreement.id,
            {
                "agreement": agreement.id,
                "provider": agreement.provider,
                "recipient": agreement.recipient,
                "at_provider": None,
                "at_recipient": None,
                "shared": None,
                "admitted": None,
                "freshness_s": None,
                "wanted_s": agreement.freshness_s,
            },
        )
        gives = slug == agreement.provider
        one["at_provider" if gives else "at_recipient"] = state_name(agreement.state)
        one["shared" if gives else "admitted"] = agreement.carried
        if agreement.state == AgreementState.AGREEMENT_STATE_ACTIVE:
            one["freshness_s"] = max(one["freshness_s"] or 0.0, _age(found, slug, agreement))
    return [merged[id] for id in sorted(merged)]


def _age(found: MeshStatus, slug: str, agreement: Agreement) -> float:
    """Age of the oldest event on its way, as far as this party sees it."""
    exchange = [one.status for one in found.services if (one.locality, one.service) == (slug, "exchange")]
    if slug == agreement.provider:
        outward = f"exchange.{agreement.id}"
        ages = [s.age_s for one in exchange for s in one.subscriptions if _is_of(s.subscription, outward)]
        share_log = f"shared-{agreement.recipient}"
        ages += [log.oldest_unpublished_s for one in exchange for log in one.logs if log.log == share_log]
    else:
        inward = f"exchange.from.{agreement.provider}"
        ages = [s.age_s for one in exchange for s in one.subscriptions if _is_of(s.subscription, inward)]
    return max(ages, default=0.0)


def _is_of(subscription: str, name: str) -> bool:
    return subscription == name or subscription.startswith(f"{name}.")


def _as_json(found: MeshStatus) -> dict[str, Any]:
    return {
        "subscriptions": [
            {
                "locality": one.locality,
                "service": one.service,
                **{field.name: getattr(of, field.name) for field in of.DESCRIPTOR.fields},
            }
            for one in found.services
            for of in one.status.subscriptions
        ],
        "logs": [
            {
                "locality": one.locality,
                "service": one.service,
                **{field.name: getattr(of, field.name) for field in of.DESCRIPTOR.fields},
            }
            for one in found.services
            for of in one.status.logs
        ],
        "agreements": _agreements(found),
        "silent": found.silent,
    }
