"""An entry: one event as it was read, with what has been made of it for subscribers so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.events.projection import Projection
from lienthong.gateway.v1 import SubscribeResponse
from mesh.errors import UndecodableEvent
from mesh.events import Catalogue, Event, EventType, from_headers
from mesh.source import Delivery

Positions = tuple[int, ...]
"""How far each log has come, in the order of the gateway's services."""

_OVERHEAD_BYTES = 1500
"""About what an entry takes beside its payload."""


@dataclass(slots=True, eq=False)
class Entry:
    """One event."""

    service: int
    """Index of the service whose log holds it."""
    position: int
    event: Event
    event_type: EventType
    number: int = 0
    """Number in the ring."""
    reached: Positions = ()
    """How far each log has come with it."""
    place: str = ""
    """Cursor of `reached`, once somebody needed it."""
    place_part: bytes = b""
    """The cursor as part of a delivery."""
    weight: int = 0
    """Bytes it takes, about."""
    parts: dict[Projection, bytes] = field(default_factory=dict)
    """Deliveries without cursor, by projection."""

    def part(self, projection: Projection) -> bytes:
        """The event as part of a delivery; made once for all who share the projection."""
        part = self.parts.get(projection)
        if part is None:
            part = self.parts[projection] = self._shown(projection)
        return part

    def _shown(self, projection: Projection) -> bytes:
        try:
            return projection.shown(self.event, self.event_type)
        except UndecodableEvent:
            return b""  # the cursor passes over it


def entry_of(delivery: Delivery, service: int, catalogue: Catalogue) -> Entry | None:
    """None when it is no event of an installed contract: a number without an event, or a type newer than this."""
    if not delivery.headers:
        return None
    try:
        event = from_headers(delivery.headers, delivery.data)
        event_type = catalogue[event.type]
    except UndecodableEvent:
        return None
    return Entry(service, delivery.position, event, event_type, weight=len(delivery.data) + _OVERHEAD_BYTES)


def cursor_part(place: str) -> bytes:
    """A cursor, as part of a delivery. Parts of a protobuf message may follow one another."""
    serialized: bytes = SubscribeResponse(cursor=place).SerializeToString()
    return serialized
