"""What a subscriber gets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from google.protobuf.message import Message

from lienthong.gateway.v1 import CloudEvent

E_co = TypeVar("E_co", bound=Message, covariant=True)


@dataclass(frozen=True, slots=True)
class Delivery(Generic[E_co]):
    """One event, and the cursor to go on after it."""

    event: E_co
    """The event message; a `google.protobuf.Any` when this version of the contracts does not know its type."""
    cursor: str
    """Opaque: stands for this event and all before it. Keep it with what you made of the event."""
    attributes: CloudEvent
    """All that CloudEvents and Lienthong tell about the event; `data` holds the event once more."""

    @property
    def id(self) -> str:
        """UUIDv7, the same wherever the event goes."""
        return self.attributes.id

    @property
    def key(self) -> str:
        """What the event is about."""
        return self.attributes.subject

    @property
    def type(self) -> str:
        """Full name of the event type."""
        return self.attributes.type

    @property
    def origin(self) -> str:
        """Slug of the locality the event was born in."""
        return self.attributes.source.split("/")[1]

    @property
    def time(self) -> datetime:
        """When it was emitted, UTC."""
        return self.attributes.time.ToDatetime(tzinfo=UTC)

    @property
    def withheld(self) -> tuple[str, ...]:
        """Fields that an agreement or your scopes leave out: a withheld number must not be read as 0."""
        return tuple(filter(None, self.attributes.withheld.split(",")))
