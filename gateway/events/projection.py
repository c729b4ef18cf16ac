"""A projection: what a subscriber is shown of an event."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from lienthong.gateway.v1 import CloudEvent, SubscribeResponse
from mesh.errors import UndecodableEvent
from mesh.events import SCHEMA_PREFIX, SPEC_VERSION, Event, EventType

JSON: Final = "application/json"
_TYPE_URL: Final = "type.googleapis.com/"


@dataclass(frozen=True, slots=True)
class Projection:
    """Which fields of events of one type are shown. Subscribers who share it share the bytes of a delivery."""

    fields: tuple[str, ...] | None
    """Paths that were asked for; None shows all."""
    personal: bool
    """Whether personal fields may be seen."""

    def withheld(self, event_type: EventType) -> frozenset[str]:
        """Fields left out because the subscriber may not see them, though it asked for them."""
        if self.personal:
            return frozenset()
        asked = None if self.fields is None else {path.partition(".")[0] for path in self.fields}
        return frozenset(field for field in event_type.personal_fields if asked is None or field in asked)

    def shown(self, event: Event, event_type: EventType) -> bytes:
        """The delivery of an event, serialized, without its cursor. Raises `UndecodableEvent`."""
        withheld = self.withheld(event_type)
        data = event.data
        if self.fields is not None or withheld:
            data = self._reduced(event, event_type, withheld)
        response = SubscribeResponse(event=_cloud_event(event, data, sorted({*event.withheld, *withheld})))
        return response.SerializeToString()

    def _reduced(self, event: Event, event_type: EventType, withheld: frozenset[str]) -> bytes:
        message = _decoded(event, event_type)
        if self.fields is not None:
            whole, message = message, event_type.cls()
            _mask(event_type, self.fields).MergeMessage(whole, message)
        for field in withheld:
            message.ClearField(field)
        return message.SerializeToString(deterministic=True)


def _decoded(event: Event, event_type: EventType) -> Message:
    try:
        return event_type.cls.FromString(event.data)
    except DecodeError:
        raise UndecodableEvent(f"the payload is no {event_type.name}") from None


def has_path(event_type: EventType, path: str) -> bool:
    """Whether events of a type have a field of that path."""
    descriptor: Any = event_type.cls.DESCRIPTOR
    return FieldMask(paths=[path]).IsValidForDescriptor(descriptor)


@lru_cache(maxsize=1024)
def _mask(event_type: EventType, fields: tuple[str, ...]) -> FieldMask:
    return FieldMask(paths=[path for path in fields if has_path(event_type, path)])


def _cloud_event(event: Event, data: bytes, withheld: list[str]) -> CloudEvent:
    time = Timestamp()
    time.FromDatetime(event.time)
    # What has no value is left unset, not empty: CloudEvents knows no empty attribute.
    extensions: dict[str, Any] = {
        "correlationid": event.correlation_id,
        "causationid": event.causation_id,
        "withheld": ",".join(withheld),
        "traceparent": event.traceparent_birth,
        "agreement": event.agreement,
    }
    return CloudEvent(
        specversion=SPEC_VERSION,
        id=event.id,
        source=event.source,
        type=event.type,
        subject=event.key,
        time=time,
        datacontenttype=JSON,
        dataschema=SCHEMA_PREFIX + event.type,
        data=Packed(type_url=_TYPE_URL + event.type, value=data),
        sequence=str(event.sequence),
        originsequence=str(event.origin_sequence),
        keyrevision=str(event.key_revision),
        partitionkey=event.key,
        **{name: value for name, value in extensions.items() if value},
    )
