"""JSON Schema of messages, as the JSON mapping of protobuf writes them, collected as components of a document.

A message has one schema where it is read and, with the rules of its contract, another where it is sent: rules are
promises of the caller. What an answer holds was checked when it came in, and may since be absent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from gateway.api.contracts import Contracts
from gateway.api.rules import list_rules, must_be_given, value_rules
from gateway.api.scalars import Schema, scalar, well_known
from lienthong.mesh.v1.annotations_pb2 import SENSITIVITY_UNSPECIFIED, Sensitivity
from mesh.annotations import field_rules, field_sensitivity

SENSITIVITY_KEY: Final = "x-lienthong-sensitivity"
REQUIRED_KEY: Final = "x-lienthong-required"
"""On a field of what is read: its contract demands it. JSON Schema's `required` would be broken by a field mask."""
_SENT: Final = ".Input"


class Schemas:
    """Components of one document; what is referred to is added."""

    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts
        self.components: dict[str, Schema] = {}

    def answer(self, message: Any) -> Schema:
        """Reference to the schema of a message that is read."""
        return self._message_or_reference(message, sent=False)

    def body(self, message: Any, without: Iterable[str]) -> Schema:
        """Reference to the schema of a request's body; what is `without` stands in the URL."""
        name = str(message.full_name)
        self.components[name] = self._message(message, sent=True, without=frozenset(without))
        return _reference(name)

    def read_value(self, field: Any) -> Schema:
        """Schema of a field that is read."""
        return self._field(field, sent=False, without=frozenset())

    def sent_value(self, field: Any) -> Schema:
        """Schema of a field that is sent, as a parameter."""
        return self._field(field, sent=True, without=frozenset())

    def _message_or_reference(self, message: Any, *, sent: bool) -> Schema:
        if (known := well_known(message.full_name)) is not None:
            return known
        name = message.full_name + (_SENT if sent else "")
        if name not in self.components:
            self.components[name] = {}  # A message that contains itself finds this.
            self.components[name] = self._message(message, sent=sent, without=frozenset())
        return _reference(name)

    def _message(self, message: Any, *, sent: bool, without: frozenset[str]) -> Schema:
        fields = [field for field in message.fields if field.name not in without]
        schema: Schema = {"type": "object"}
        if comment := self._contracts.comment(message.full_name):
            schema["description"] = comment
        schema["properties"] = {
            field.json_name: self._field(field, sent=sent, without=_within(field, without)) for field in fields
        }
        if sent and (needed := [field.json_name for field in fields if must_be_given(field)]):
            schema["required"] = needed
        if exclusive := list(_exclusive(message)):
            schema["allOf"] = exclusive
        return schema

    def _field(self, field: Any, *, sent: bool, without: frozenset[str]) -> Schema:
        return _described(self._shape(field, sent=sent, without=without), self._about(field, sent=sent))

    def _shape(self, field: Any, *, sent: bool, without: frozenset[str]) -> Schema:
        if without:
            return self._message(field.message_type, sent=sent, without=without)
        if _is_map(field):
            value = field.message_type.fields_by_name["value"]
            return {"type": "object", "additionalProperties": self._value(value, sent=sent)}
        value = self._value(field, sent=sent)
        if sent:
            value = value_rules(field, value)
        if not field.is_repeated:
            return value
        return {"type": "array", "items": value} | (list_rules(field) if sent else {})

    def _value(self, field: Any, *, sent: bool) -> Schema:
        if field.message_type is not None:
            return self._message_or_reference(field.message_type, sent=sent)
        if field.type == FieldDescriptor.TYPE_ENUM:
            return self._enum(field.enum_type)
        return scalar(field)

    def _enum(self, enum: Any) -> Schema:
        name = str(enum.full_name)
        if name not in self.components:
            lines = [f"- `{value.name}`: {self._value_comment(enum, value)}" for value in enum.values]
            self.components[name] = {
                "type": "string",
                "description": "\n".join([self._contracts.comment(name), "", *lines]).strip(),
                "enum": [value.name for value in enum.values],
            }
        return _reference(name)

    def _value_comment(self, enum: Any, value: Any) -> str:
        return " ".join(self._contracts.comment(f"{enum.full_name}.{value.name}").split())

    def _about(self, field: Any, *, sent: bool) -> Schema:
        about: Schema = {}
        if comment := self._contracts.comment(field.full_name):
            about["description"] = comment
        if (sensitivity := field_sensitivity(field)) != SENSITIVITY_UNSPECIFIED:
            about[SENSITIVITY_KEY] = sensitivity_name(sensitivity)
        if not sent and field_rules(field).required:
            about[REQUIRED_KEY] = True
        return about


def sensitivity_name(sensitivity: int) -> str:
    """`PERSONAL` for SENSITIVITY_PERSONAL."""
    return str(Sensitivity.Name(sensitivity)).removeprefix("SENSITIVITY_")


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _described(schema: Schema, about: Schema) -> Schema:
    """Readers of AsyncAPI take a reference alone and forget what stands beside it, so it goes one level down."""
    if about and "$ref" in schema:
        reference = {"$ref": schema["$ref"]}
        return {"allOf": [reference]} | {key: value for key, value in schema.items() if key != "$ref"} | about
    return schema | about


def _is_map(field: Any) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _within(field: Any, without: frozenset[str]) -> frozenset[str]:
    prefix = f"{field.name}."
    return frozenset(path.removeprefix(prefix) for path in without if path.startswith(prefix))


def _exclusive(message: Any) -> Iterable[Schema]:
    """Of the members of a oneof at most one may stand; protobuf's own oneofs of one member say nothing."""
    for oneof in message.oneofs:
        names = [field.json_name for field in oneof.fields]
        if len(names) > 1:
            one = [{"required": [name]} for name in names]
            yield {"oneOf": [*one, {"not": {"anyOf": one}}]}
