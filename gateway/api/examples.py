"""Examples of messages: made-up values that keep every rule of the contract."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import yaml
from google.protobuf.descriptor import FieldDescriptor

from gateway.api.routes import Route
from gateway.api.rules import must_be_given
from gateway.api.scalars import well_known
from mesh.annotations import field_rules

Json = Any

TIME: Final = "2026-11-02T01:00:00Z"
_WELL_KNOWN: Final[dict[str, Json]] = {
    "google.protobuf.Timestamp": TIME,
    "google.protobuf.Duration": "30s",
    "google.protobuf.FieldMask": "stationId,location.latitude",
    "google.protobuf.Struct": {},
}


@dataclass(frozen=True, slots=True)
class ExampleRequest:
    """One call: what stands in the URL, by parameter, and the body."""

    parameters: dict[str, Json]
    body: Json


def example_request(route: Route) -> ExampleRequest:
    """An example of a call; in the query it has only what must be there."""
    rpc: Any = route.rpc
    message = example(rpc.input_type)
    placed = {given.name: _taken(message, given.path, rpc.input_type) for given in (*route.in_path, *route.in_query)}
    needed = {given.name for given in (*route.in_path, *route.in_query) if given.required}
    body = message if route.body == "*" else message.get(_json_name(rpc.input_type, route.body))
    return ExampleRequest({name: value for name, value in placed.items() if name in needed}, body)


def example(message: Any, above: tuple[str, ...] = ()) -> dict[str, Json]:
    """The JSON of an example message with all of its fields; of a oneof the first."""
    made: dict[str, Json] = {}
    for field in message.fields:
        oneof = field.containing_oneof
        if field.message_type is not None and field.message_type.full_name in (*above, message.full_name):
            continue
        if oneof is not None and oneof.fields[0].name != field.name:
            continue
        made[field.json_name] = _field(message, field, (*above, message.full_name))
    return made


def _field(message: Any, field: Any, above: tuple[str, ...]) -> Json:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {"key": _value(message, field.message_type.fields_by_name["value"], above)}
    value = _value(message, field, above)
    return [value] if field.is_repeated and not isinstance(value, list) else value


def _value(message: Any, field: Any, above: tuple[str, ...]) -> Json:
    for name in (f"{message.name}.{field.name}", field.name):
        if name in _values() and (field.enum_type is None or _values()[name] in field.enum_type.values_by_name):
            return _values()[name]
    nested = field.message_type
    if nested is not None:
        return example(nested, above) if well_known(nested.full_name) is None else _WELL_KNOWN.get(nested.full_name)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return field.enum_type.values[1].name
    return _scalar(field)


def _scalar(field: Any) -> Json:
    if field.type == FieldDescriptor.TYPE_BOOL:
        return True
    if field.type == FieldDescriptor.TYPE_BYTES:
        return ""
    if field.type == FieldDescriptor.TYPE_STRING:
        return "text" if must_be_given(field) or not field_rules(field).HasField("pattern") else ""
    number = max(field_rules(field).gte, 1)
    if field.cpp_type in (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64):
        return str(int(number))
    return number if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT) else int(number)


def _taken(message: dict[str, Json], path: str, descriptor: Any) -> Json:
    """Takes the value at a path out of a message."""
    *outer, last = path.split(".")
    for name in outer:
        message, descriptor = message[_json_name(descriptor, name)], descriptor.fields_by_name[name].message_type
    return message.pop(_json_name(descriptor, last), None)


def _json_name(descriptor: Any, name: str) -> str:
    return str(descriptor.fields_by_name[name].json_name) if name else ""


@cache
def _values() -> dict[str, Json]:
    values: dict[str, Json] = yaml.safe_load(files("gateway.api").joinpath("examples.yaml").read_text("utf-8"))
    return values
