"""What of an event an agreement lets through: whole top-level fields, never a personal one.

Deny by default: a field this process does not know (a newer contract's) is never let through either.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from mesh.errors import UndecodableEvent
from mesh.events import Event, EventType

ALL_FIELDS = "*"
"""Entry of an agreement that stands for every field that is not personal."""


class Projection:
    """The fields of one event type that cross a border; made once, applied to every event."""

    __slots__ = ("_all", "_type", "kept", "withheld")

    kept: tuple[str, ...]
    """Names that cross, in the order of the contract."""
    withheld: tuple[str, ...]
    """All other names, set or not: an absent number must not read as 0."""

    def __init__(self, event_type: EventType, fields: tuple[str, ...]) -> None:
        self._type = event_type
        self._all = fields == (ALL_FIELDS,)
        wanted = set(event_type.fields if self._all else fields) - event_type.personal_fields
        self.kept = tuple(name for name in event_type.fields if name in wanted)
        self.withheld = tuple(name for name in event_type.fields if name not in wanted)

    def apply(self, data: bytes) -> bytes:
        """Returns the event reduced to what crosses. Raises UndecodableEvent."""
        message = self._read(data)
        for name in self.withheld:
            message.ClearField(name)
        message.DiscardUnknownFields()
        return message.SerializeToString(deterministic=True)

    def excess(self, data: bytes) -> tuple[str, ...]:
        """Returns the fields an arrived event carries although they are withheld; unknown ones by number.

        Under `*` a field unknown here is no excess: the provider may have a newer contract. Raises UndecodableEvent.
        """
        message = self._read(data)
        named = tuple(field.name for field, _ in message.ListFields() if field.name in self.withheld)
        return named if self._all else named + _unknown_fields(message)

    def _read(self, data: bytes) -> Message:
        try:
            return self._type.cls.FromString(data)
        except DecodeError:
            raise UndecodableEvent(f"the payload is no {self._type.name}") from None


def _unknown_fields(message: Message) -> tuple[str, ...]:
    found = UnknownFieldSet(message)
    return tuple(f"#{number}" for number in sorted({found[i].field_number for i in range(len(found))}))


def projected(event: Event, event_type: EventType, fields: tuple[str, ...], agreement: str) -> Event:
    """Returns the event as it crosses under an agreement. Raises UndecodableEvent."""
    allowed = projection(event_type, fields)
    return replace(
        event,
        data=allowed.apply(event.data),
        withheld=union(event.withheld, allowed.withheld),
        agreement=agreement,
    )


def union(some: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the names of both, each once: what was withheld stays withheld."""
    return tuple(dict.fromkeys(some + more))


@lru_cache(maxsize=4096)
def projection(event_type: EventType, fields: tuple[str, ...]) -> Projection:
    """Returns the projection of an event type to `fields`, made once per process."""
    return Projection(event_type, fields)
