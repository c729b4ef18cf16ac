"""Fields inside messages by path: `segments.name` is the name of every segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from mesh.cli.exits import UsageError


def check(kind: Descriptor, path: str) -> None:
    """Raises UsageError where a kind of message has no such field, naming those it has."""
    inner: Descriptor | None = kind
    for name in path.split("."):
        if inner is None:
            raise UsageError(f"{path}: nothing is within what comes before {name}")
        if name not in inner.fields_by_name:
            raise UsageError(f"{inner.name} has no field {name}; it has {', '.join(inner.fields_by_name)}")
        inner = inner.fields_by_name[name].message_type


def values(message: Message, path: str) -> Iterator[tuple[Any, Any]]:
    """What stands there, with its field: nothing where it is not set, several where something is repeated."""
    name, _, rest = path.partition(".")
    field = message.DESCRIPTOR.fields_by_name[name]
    if field.has_presence and not message.HasField(name):
        return
    value = getattr(message, name)
    for one in value if field.is_repeated else [value]:
        if rest:
            yield from values(one, rest)
        else:
            yield field, one


def text(field: FieldDescriptor, value: Any) -> str:
    """A value as JSON names it."""
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return str(value) if known is None else str(known.name)
    return str(value)


def rows_field(kind: Descriptor) -> FieldDescriptor:
    """The field of a list's answer that holds its rows. Raises UsageError for an answer that is no list."""
    for field in kind.fields:
        if field.is_repeated and field.message_type is not None:
            return field
    raise UsageError(f"{kind.name} lists nothing")
