"""Made-up messages of any contract, and schemas made strict enough to catch what they leave out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

_TIMES = st.datetimes(*map(datetime.fromisoformat, ("0001-01-02", "9999-12-30")), timezones=st.just(UTC))
_FLOATS = st.floats(width=32)
_BY_TYPE: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
    FieldDescriptor.CPPTYPE_FLOAT: _FLOATS,
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
}


@st.composite
def messages(draw: st.DrawFn, descriptor: Any, depth: int = 3) -> Message:
    """Messages of a type with any of their fields set, whatever the rules of the contract say."""
    message: Any = message_factory.GetMessageClass(descriptor)()
    if descriptor.full_name == "google.protobuf.Timestamp":
        message.FromDatetime(draw(_TIMES))
        return message
    if descriptor.full_name in ("google.protobuf.Any", "google.protobuf.Struct"):
        return message
    for field in descriptor.fields:
        if draw(st.booleans()):
            _set(draw, message, field, depth)
    return message


def _set(draw: st.DrawFn, message: Any, field: Any, depth: int) -> None:
    if field.message_type is not None:
        if depth == 0 or field.message_type.full_name in ("google.protobuf.Any", "google.protobuf.Struct"):
            return
        value = draw(messages(field.message_type, depth - 1))
        place = getattr(message, field.name)
        (place.add() if field.is_repeated else place).CopyFrom(value)
        return
    if field.is_repeated:
        getattr(message, field.name).extend(draw(st.lists(_value(field), max_size=3)))
    else:
        setattr(message, field.name, draw(_value(field)))


def _value(field: Any) -> st.SearchStrategy[Any]:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=8)
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.text(max_size=8)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return st.sampled_from([value.number for value in field.enum_type.values])
    return _BY_TYPE[field.cpp_type]


def strict(node: Any) -> Any:
    """A schema in which every object that lists properties has no others: so a property that is missing shows."""
    if isinstance(node, list):
        return [strict(child) for child in node]
    if not isinstance(node, dict):
        return node
    made = {key: strict(value) for key, value in node.items()}
    if made.get("type") == "object" and "properties" in made and "@type" not in made["properties"]:
        made.setdefault("additionalProperties", False)
    return made
