"""What was agreed, and how to read it off the contract's message."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import cast

from lienthong.exchange.v1 import Agreement, AgreementState


class State(StrEnum):
    """Where an agreement stands; the names of `AgreementState` as people say them."""

    PROPOSED = "PROPOSED"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"

    @property
    def number(self) -> AgreementState:
        """The value of the contract's enum."""
        return cast(AgreementState, AgreementState.Value(f"AGREEMENT_STATE_{self}"))

    @classmethod
    def of(cls, number: int) -> State:
        """The state of that value; none said is PROPOSED."""
        name = AgreementState.Name(number).removeprefix("AGREEMENT_STATE_")
        return cls.PROPOSED if name == "UNSPECIFIED" else cls(name)


def state_of(agreement: Agreement) -> State:
    """Returns where an agreement stands."""
    return State.of(agreement.state)


def terms(agreement: Agreement) -> bytes:
    """Returns what was agreed, without what happened to it since; equal terms are equal bytes."""
    bare = Agreement()
    bare.CopyFrom(agreement)
    for name in ("state", "changed_at", "carried"):
        bare.ClearField(name)
    del bare.events[:]
    for event in sorted(agreement.events, key=lambda e: e.type):
        bare.events.add(type=event.type, fields=sorted(set(event.fields)))
    return bare.SerializeToString(deterministic=True)


def grant_id(agreement: Agreement, event_type: str) -> str:
    """Returns the id of the grant for one event type between the agreement's parties."""
    return f"{agreement.provider}|{agreement.recipient}|{event_type}"


def grant_ids(agreement: Agreement) -> tuple[str, ...]:
    """Returns the ids of the grants an agreement needs to be ACTIVE."""
    return tuple(grant_id(agreement, event.type) for event in agreement.events)


def valid_from(agreement: Agreement) -> datetime:
    """First moment of validity."""
    return agreement.valid_from.ToDatetime(tzinfo=UTC)


def valid_until(agreement: Agreement) -> datetime:
    """First moment after validity."""
    return agreement.valid_until.ToDatetime(tzinfo=UTC)


def is_valid_at(agreement: Agreement, moment: datetime) -> bool:
    """Whether a moment lies within the agreed validity, whatever the state."""
    return valid_from(agreement) <= moment < valid_until(agreement)


def fields_of(agreement: Agreement, event_type: str) -> tuple[str, ...] | None:
    """Returns the fields agreed for an event type, or None where the type is not shared."""
    return next((tuple(e.fields) for e in agreement.events if e.type == event_type), None)
