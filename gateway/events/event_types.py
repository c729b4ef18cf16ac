"""Kinds of events, as those who may subscribe to them are told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from gateway.api.contracts import installed
from gateway.api.examples import TIME, example
from gateway.api.schemas import Schemas
from gateway.events.place import place_text
from gateway.events.projection import Projection
from gateway.events.wish import personal_scope, read_scope
from lienthong.gateway.v1 import EventType, SubscribeResponse
from lienthong.mesh.v1 import Sensitivity
from mesh.auth import Caller
from mesh.events import SCHEMA_PREFIX, Event, source_of
from mesh.events import EventType as KnownType

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_EXAMPLE_ID: Final = "019de04c-6b00-7a51-9d1f-5a1f6f3c2b10"
_COMPONENTS, _DEFS = "#/components/schemas/", "#/$defs/"


def summary(kind: KnownType, caller: Caller) -> EventType:
    """What a list tells of a type."""
    return EventType(
        type=kind.name,
        description=installed().comment(kind.name),
        sector=kind.sector,
        topic=kind.topic,
        key_field=kind.key_field,
        sensitivity=Sensitivity.Name(kind.sensitivity),
        personal_fields=sorted(kind.personal_fields),
        read_scope=read_scope(kind),
        personal_scope=personal_scope(kind),
        readable=caller.allows(read_scope(kind)),
    )


def whole(kind: KnownType, caller: Caller) -> EventType:
    """All that is told of a type."""
    found = summary(kind, caller)
    found.schema.CopyFrom(_struct(schema(kind)))
    found.example.CopyFrom(_struct(example_delivery(kind)))
    found.descriptors = descriptors(kind)
    return found


def schema(kind: KnownType) -> dict[str, Any]:
    """JSON Schema of the event message."""
    schemas = Schemas(installed())
    reference = schemas.answer(kind.cls.DESCRIPTOR)
    head = {"$schema": _DIALECT, "$id": SCHEMA_PREFIX + kind.name}
    found: dict[str, Any] = _moved(head | reference | {"$defs": schemas.components})
    return found


def example_delivery(kind: KnownType) -> dict[str, Any]:
    """A delivery in its JSON form."""
    message = ParseDict(example(kind.cls.DESCRIPTOR), kind.cls(), ignore_unknown_fields=True)
    event = Event(
        id=_EXAMPLE_ID,
        source=source_of("da-nang", kind.sector),
        type=kind.name,
        time=datetime.fromisoformat(TIME),
        key=kind.key_of(message) or "a-key",
        data=message.SerializeToString(),
        sequence=17,
        origin_sequence=17,
        key_revision=17,
        correlation_id=_EXAMPLE_ID,
    )
    delivery = SubscribeResponse.FromString(Projection(fields=None, personal=True).shown(event, kind))
    delivery.cursor = place_text("da-nang", {kind.sector: 40})
    return MessageToDict(delivery)


def descriptors(kind: KnownType) -> bytes:
    """The file of a type and all it imports, imports first, serialized."""
    files = FileDescriptorSet()
    for file in _with_imports(kind.cls.DESCRIPTOR.file, set()):
        file.CopyToProto(files.file.add())
    return files.SerializeToString()


def _with_imports(file: Any, seen: set[str]) -> Iterator[Any]:
    if file.name not in seen:
        seen.add(file.name)
        for imported in file.dependencies:
            yield from _with_imports(imported, seen)
        yield file


def _moved(node: Any) -> Any:
    """References of an API document point into its components; a schema that stands alone has definitions."""
    if isinstance(node, dict):
        return {
            key: value.replace(_COMPONENTS, _DEFS) if key == "$ref" else _moved(value) for key, value in node.items()
        }
    return [_moved(value) for value in node] if isinstance(node, list) else node


def _struct(document: dict[str, Any]) -> Struct:
    return ParseDict(document, Struct())
