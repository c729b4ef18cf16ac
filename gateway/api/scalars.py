"""JSON Schema of single values, as the JSON mapping of protobuf writes them.

https://protobuf.dev/programming-guides/json/. Where the mapping reads several spellings of a value, the schema has
the one it writes: a number for an enum or a text for an `int32` are understood, and not documented.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

Schema = dict[str, Any]

NOT_FINITE: Final = ("NaN", "Infinity", "-Infinity")
_MAX_32: Final = 2**31 - 1
_MAX_U32: Final = 2**32 - 1

_INT32: Final[Schema] = {"type": "integer", "format": "int32", "minimum": -_MAX_32 - 1, "maximum": _MAX_32}
_UINT32: Final[Schema] = {"type": "integer", "format": "uint32", "minimum": 0, "maximum": _MAX_U32}
# JavaScript's numbers hold 53 bits: wider ones travel as text.
_INT64: Final[Schema] = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
_UINT64: Final[Schema] = {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"}
_BYTES: Final[Schema] = {"type": "string", "contentEncoding": "base64", "pattern": "^[A-Za-z0-9+/]*={0,2}$"}

_SCALARS: Final[dict[int, Schema]] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_BYTES: _BYTES,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_UINT64: _UINT64,
}

_WELL_KNOWN: Final[dict[str, Schema]] = {
    "google.protobuf.Any": {
        "type": "object",
        "properties": {
            "@type": {"type": "string", "description": "`type.googleapis.com/` and the message's full name"}
        },
        "required": ["@type"],
        "description": "A message with its type; its fields stand beside `@type`.",
    },
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$",
        "description": "Seconds with the suffix `s`, as `1.5s`.",
    },
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.FieldMask": {
        "type": "string",
        "pattern": r"^([a-zA-Z0-9.]+(,[a-zA-Z0-9.]+)*)?$",
        "description": "Names of fields, separated by commas.",
    },
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Value": {},
}


def well_known(full_name: str) -> Schema | None:
    """Schema of a message with a mapping of its own; None for all others."""
    known = _WELL_KNOWN.get(full_name)
    return None if known is None else dict(known)


def scalar(field: Any) -> Schema:
    """Schema of one value of a field that is neither message nor enum."""
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return {"anyOf": [{"type": "number"}, {"enum": list(NOT_FINITE)}]}
    return dict(_SCALARS[field.type])


def finite() -> Schema:
    """Schema of a `double` that has limits: then it is a number for certain."""
    return {"type": "number"}
