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
    for name in ("state", "changed_at", "carried", "events", "lookups"):
        bare.ClearField(name)
    for event in sorted(agreement.events, key=lambda e: e.type):
        bare.events.add(type=event.type, fields=sorted(set(event.fields)))
    for lookup in sorted(agreement.lookups, key=lambda one: one.rpc):
        bare.lookups.add(rpc=lookup.rpc, fields=sorted(set(lookup.fields)))
    return bare.SerializeToString(deterministic=True)


def grant_id(provider: str, recipient: str, granted: str) -> str:
    """Returns the id of the grant for one event type or lookup between two localities."""
    return f"{provider}|{recipient}|{granted}"


def grants(agreement: Agreement) -> dict[str, str]:
    """Returns what an agreement grants, event types and lookups, by the ids of the grants it needs to be ACTIVE."""
    granted = [event.type for event in agreement.events] + [lookup.rpc for lookup in agreement.lookups]
    return {grant_id(agreement.provider, agreement.recipient, name): name for name in granted}


def grant_ids(agreement: Agreement) -> tuple[str, ...]:
    """Returns the ids of the grants an agreement needs to be ACTIVE."""
    return tuple(grants(agreement))


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


def lookup_fields_of(agreement: Agreement, rpc: str) -> tuple[str, ...] | None:
    """Returns the fields agreed for the answers of a lookup, or None where it is not granted."""
    return next((tuple(lookup.fields) for lookup in agreement.lookups if lookup.rpc == rpc), None)
