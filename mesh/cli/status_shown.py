"""How a status is shown: tables for people, plain values for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from lienthong.exchange.v1 import Agreement, AgreementState
from lienthong.mesh import v1
from mesh.cli.agreement_state import state_name
from mesh.cli.output import duration, table


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


def shown(found: MeshStatus) -> RenderableType:
    """For people."""
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


def as_json(found: MeshStatus) -> dict[str, Any]:
    """For programs."""
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
