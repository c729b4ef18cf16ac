"""Which events may cross: outward by the provider, inward by the recipient, both by the same terms.

Where an arrived event comes from and under which agreement is taken from its subject, which the broker
enforced, never from its headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from lienthong.exchange.v1 import Agreement
from mesh.errors import UndecodableEvent
from mesh.events import Event, EventType, shared_subject
from services.exchange.agreement import State, fields_of, is_valid_at, state_of
from services.exchange.projection import projection


def leaves(agreement: Agreement, event: Event, here: str, now: datetime) -> bool:
    """Whether locality `here` shares an event now: ACTIVE, its own, agreed, and born within start and validity.

    An event of another origin never leaves again, whoever asks.
    """
    return (
        state_of(agreement) is State.ACTIVE
        and event.origin == here == agreement.provider
        and fields_of(agreement, event.type) is not None
        and is_valid_at(agreement, event.time)
        and is_valid_at(agreement, now)
        and (not agreement.HasField("start") or event.time >= agreement.start.ToDatetime(tzinfo=UTC))
    )


@dataclass(frozen=True, slots=True)
class Crossing:
    """What the subject of a shared event says, token by token."""

    provider: str
    recipient: str
    agreement: str
    sector: str
    topic: str
    partition: str

    @classmethod
    def of(cls, subject: str) -> Self:
        """Reads `shared.<provider>.<recipient>.<agreement>.<sector>.<topic>.<partition>`. Raises UndecodableEvent."""
        head, *tokens = subject.split(".")
        if head != "shared" or len(tokens) != 6:
            raise UndecodableEvent("the subject is none of a shared event")
        return cls(*tokens)

    @classmethod
    def under(cls, provider: str, recipient: str, shared: Event) -> Self:
        """How a shared event crosses under its agreement."""
        return cls(provider, recipient, shared.agreement, shared.sector, shared.topic, str(shared.partition))

    @property
    def line(self) -> str:
        """Line on the share log."""
        return f"{self.agreement}/{self.sector}/{self.topic}/{self.partition}"

    @property
    def subject(self) -> str:
        """The subject again."""
        return shared_subject(self.provider, self.recipient, self.agreement, self.sector, self.topic, self.partition)


def reason_to_quarantine(
    agreement: Agreement | None,
    crossing: Crossing,
    event: Event,
    event_type: EventType | None,
    here: str,
    shared_at: datetime,
) -> str | None:
    """Returns why an arrived event is not admitted, or None where it is.

    `agreement` is what is stored here under `crossing.agreement`. Judged by `shared_at`, the time the provider
    committed it to the share log, so what was under way when an agreement expired is admitted.
    Raises UndecodableEvent.
    """
    if agreement is None:
        return f"agreement {crossing.agreement} is not known here"
    if event_type is None:
        return f"no contract here has an event {event.type}"
    return next(_broken(agreement, crossing, event, event_type, here, shared_at), None)


def _broken(
    agreement: Agreement, crossing: Crossing, event: Event, event_type: EventType, here: str, shared_at: datetime
) -> Iterator[str]:
    yield from _broken_parties(agreement, crossing, event, here)
    if (event.sector, event.topic, str(event.partition)) != (crossing.sector, crossing.topic, crossing.partition):
        yield "lies on a subject that is not its own"
    if not event.origin_sequence:
        yield "has no number from where it was born"
    state = state_of(agreement)
    if state not in (State.ACTIVE, State.EXPIRED):
        yield f"agreement {agreement.id} is {state}"
    if not is_valid_at(agreement, shared_at):
        yield f"was committed outside the validity of agreement {agreement.id}"
    fields = fields_of(agreement, event.type)
    if fields is None:
        yield f"agreement {agreement.id} does not share {event.type}"
    elif excess := projection(event_type, fields).excess(event.data):
        yield f"carries what agreement {agreement.id} withholds: {', '.join(excess)}"


def _broken_parties(agreement: Agreement, crossing: Crossing, event: Event, here: str) -> Iterator[str]:
    if crossing.provider != agreement.provider:
        yield f"came from {crossing.provider}; the provider of agreement {agreement.id} is {agreement.provider}"
    if not (crossing.recipient == agreement.recipient == here):
        yield f"was sent to {crossing.recipient}; the recipient of agreement {agreement.id} is {agreement.recipient}"
    if event.origin != crossing.provider:
        yield f"was born in {event.origin}, not in {crossing.provider}, which sent it"
