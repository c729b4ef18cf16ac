"""Passages: what of this locality's logs an agreement reads, one subscription per topic and activation.

An agreement that is resumed begins anew, so each activation has subscriptions of its own: what a late reader of the
one before still does moves no mark of the next.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from mesh.events import PARTITIONS, catalogue, line_name
from services.exchange.agreement import State
from services.exchange.documents import AgreementDocument


@dataclass(frozen=True, slots=True)
class Passage:
    """One topic that an agreement shares, from one activation on."""

    agreement: str
    recipient: str
    activation: int
    """1 when it was applied, one more each time it was resumed."""
    sector: str
    topic: str
    types: frozenset[str]
    since: datetime
    """Events committed before are not shared."""

    @property
    def subscription(self) -> str:
        """Name of the subscription: `exchange.dn-hue-air-1.air_quality_alert`, resumed once `…#2`."""
        return subscription_of(self.agreement, self.topic, self.activation)


def subscription_of(agreement: str, topic: str, activation: int) -> str:
    """Returns the name of the subscription of one passage."""
    return f"exchange.{agreement}.{topic}" + (f"#{activation}" if activation > 1 else "")


def passages(document: AgreementDocument) -> frozenset[Passage]:
    """Returns the passages of an agreement's present or last activation. A type no contract here has is left out."""
    types: dict[tuple[str, str], set[str]] = defaultdict(set)
    for shared in document.agreement().events:
        if event_type := catalogue().get(shared.type):
            types[event_type.sector, event_type.topic].add(shared.type)
    return frozenset(
        Passage(
            agreement=document.id,
            recipient=document.recipient,
            activation=document.activation,
            sector=sector,
            topic=topic,
            types=frozenset(names),
            since=_since(document),
        )
        for (sector, topic), names in types.items()
    )


def share_lines(document: AgreementDocument) -> frozenset[str]:
    """Returns the names of all lines an agreement can have on its share log."""
    return frozenset(
        line_name(document.id, passage.sector, passage.topic, partition)
        for passage in passages(document)
        for partition in range(PARTITIONS)
    )


def subscriptions_before(document: AgreementDocument) -> frozenset[str]:
    """Returns the names of the subscriptions of activations that have ended."""
    ended = document.activation - (document.state == State.ACTIVE)
    return frozenset(
        subscription_of(document.id, passage.topic, activation)
        for passage in passages(document)
        for activation in range(1, ended + 1)
    )


def _since(document: AgreementDocument) -> datetime:
    """What happened while an agreement was suspended is not delivered later, whatever start was agreed."""
    agreement = document.agreement()
    if document.activation == 1 and agreement.HasField("start"):
        return agreement.start.ToDatetime(tzinfo=UTC)
    return document.activated_at
