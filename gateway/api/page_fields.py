"""Fields of messages on the page: name, type, limits, what they mean, and how much harm a disclosure would do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from gateway.api import markup
from gateway.api.contracts import Contracts
from gateway.api.schemas import sensitivity_name
from lienthong.mesh.v1.annotations_pb2 import SENSITIVITY_UNSPECIFIED, FieldRules
from mesh.annotations import field_rules, field_sensitivity

_SCALARS: Final = {
    FieldDescriptor.CPPTYPE_BOOL: "bool",
    FieldDescriptor.CPPTYPE_DOUBLE: "number",
    FieldDescriptor.CPPTYPE_FLOAT: "number",
    FieldDescriptor.CPPTYPE_INT32: "integer",
    FieldDescriptor.CPPTYPE_INT64: "integer, as text",
    FieldDescriptor.CPPTYPE_STRING: "text",
    FieldDescriptor.CPPTYPE_UINT32: "integer",
    FieldDescriptor.CPPTYPE_UINT64: "integer, as text",
}
_WELL_KNOWN: Final = {
    "google.protobuf.Any": "message with @type",
    "google.protobuf.Duration": "duration, as 1.5s",
    "google.protobuf.FieldMask": "names of fields",
    "google.protobuf.Struct": "JSON object",
    "google.protobuf.Timestamp": "time",
    "google.protobuf.Value": "JSON",
}


def fields_table(fields: Iterable[tuple[str, Any]], contracts: Contracts) -> str:
    """A table of fields, each with the name it has there."""
    return markup.table(("Field", "Type", "Meaning"), (_row(name, field, contracts) for name, field in fields))


def message_fields(message: Any) -> Iterator[tuple[str, Any]]:
    """Fields of a message with their names in JSON."""
    return ((field.json_name, field) for field in message.fields)


def types_within(messages: Iterable[Any]) -> list[Any]:
    """Messages and enums of our own that these refer to, at any depth, and these too; by name."""
    found: dict[str, Any] = {}
    waiting = list(messages)
    while waiting:
        kind = waiting.pop()
        if kind.full_name in found or kind.file.package.startswith("google."):
            continue
        found[kind.full_name] = kind
        for field in getattr(kind, "fields", ()):
            waiting.extend(filter(None, (field.message_type, field.enum_type)))
    return [found[name] for name in sorted(found)]


def _row(name: str, field: Any, contracts: Contracts) -> tuple[str, str, str]:
    rules = field_rules(field)
    marks = markup.chip("required") if rules.required else ""
    if (sensitivity := field_sensitivity(field)) != SENSITIVITY_UNSPECIFIED:
        marks += markup.chip(sensitivity_name(sensitivity), sensitivity_name(sensitivity).lower())
    limits = "".join(f"<code>{markup.attribute(limit)}</code> " for limit in _limits(rules))
    meaning = markup.text(" ".join(contracts.comment(field.full_name).split()))
    return f"<code>{markup.attribute(name)}</code>", _type(field), f"{marks} {meaning} {limits}"


def _type(field: Any) -> str:
    kind = field.message_type or field.enum_type
    if kind is None:
        name = "base64" if field.type == FieldDescriptor.TYPE_BYTES else _SCALARS[field.cpp_type]
    elif kind.full_name in _WELL_KNOWN:
        name = _WELL_KNOWN[kind.full_name]
    else:
        name = markup.link(kind.full_name, kind.name)
    return f"list of {name}" if field.is_repeated else name


def _limits(rules: FieldRules) -> Iterator[str]:
    if rules.HasField("gte"):
        yield f"≥ {rules.gte:g}"
    if rules.HasField("lte"):
        yield f"≤ {rules.lte:g}"
    if rules.HasField("min_len"):
        yield f"at least {rules.min_len} characters"
    if rules.HasField("max_len"):
        yield f"at most {rules.max_len} characters"
    if rules.HasField("pattern"):
        yield rules.pattern
    if rules.HasField("max_items"):
        yield f"at most {rules.max_items}"
    if rules.checked_by_row:
        yield "checked row by row"
