"""What a contract demands of a field, in the words of JSON Schema. `mesh.validation` is what enforces it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from gateway.api.scalars import Schema, finite
from lienthong.mesh.v1.annotations_pb2 import FieldRules
from mesh.annotations import field_rules

_INTEGERS: Final = (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32)
_FRACTIONS: Final = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)
_NUMBERS: Final = (*_INTEGERS, *_FRACTIONS, FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)


def must_be_given(field: Any) -> bool:
    """Whether a request without the field is refused.

    A number that cannot be absent counts as 0: it must be given where 0 is out of its limits, and only there.
    """
    rules = field_rules(field)
    if field.cpp_type in _NUMBERS and not field.has_presence and not field.is_repeated:
        return bool(rules.gte > 0 or rules.lte < 0)
    return bool(rules.required or rules.min_items)


def value_rules(field: Any, schema: Schema) -> Schema:
    """The schema of one value, or of one element of a list, with the rules of its field."""
    rules = field_rules(field)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return schema | _text(field, rules)
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM and rules.required:
        return schema | {"not": {"const": field.enum_type.values_by_number[0].name}}
    if field.cpp_type in _INTEGERS:
        return schema | _limits(rules, int)
    if field.cpp_type in _FRACTIONS and (limits := _limits(rules, float)):
        return finite() | limits
    return schema


def list_rules(field: Any) -> Schema:
    """How many elements a list may have."""
    rules = field_rules(field)
    limits: Schema = {}
    if least := max(int(rules.required), rules.min_items):
        limits["minItems"] = least
    if rules.HasField("max_items"):
        limits["maxItems"] = rules.max_items
    return limits


def _text(field: Any, rules: FieldRules) -> Schema:
    # An empty text counts as absent: it breaks `required` and no other rule. An element of a list is never absent.
    may_be_empty = not (rules.required or field.is_repeated or field.has_presence)
    limits: Schema = {}
    if rules.required and not field.is_repeated:
        limits["minLength"] = max(1, rules.min_len)
    elif rules.min_len:
        absent: list[Schema] = [{"maxLength": 0}] if may_be_empty else []
        limits["anyOf"] = [*absent, {"minLength": rules.min_len}]
    if rules.HasField("max_len"):
        limits["maxLength"] = rules.max_len
    if rules.HasField("pattern"):
        limits["pattern"] = anchored(rules.pattern, may_be_empty=may_be_empty)
    return limits


def anchored(pattern: str, *, may_be_empty: bool = False) -> str:
    """A pattern of a contract, which the whole text must match, as one that JSON Schema looks for anywhere.

    `\\d` is spelt out: whether it means the ten ASCII digits is not the same in every language that reads schemas.
    """
    spelt = pattern.replace(r"\d", "[0-9]")
    if may_be_empty and not re.fullmatch(pattern, ""):
        return f"^({spelt})?$"
    return f"^({spelt})$" if "|" in spelt else f"^{spelt}$"


def _limits(rules: FieldRules, number: Callable[[float], float]) -> Schema:
    limits: Schema = {}
    if rules.HasField("gte"):
        limits["minimum"] = number(rules.gte)
    if rules.HasField("lte"):
        limits["maximum"] = number(rules.lte)
    return limits
