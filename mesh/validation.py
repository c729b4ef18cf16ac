"""Checks messages against the rules their contract states in `lienthong.mesh.v1.FieldRules`.

The rules of a message class are compiled once into closures; branches without rules are not visited. Whatever a
contract says, a Timestamp or Duration must be in its range and an enum must be a value the contract knows.
An empty text counts as absent: it breaks `required`, and no other rule.

A description says what is expected and never what was sent: a value may be personal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from lienthong.mesh.v1.annotations_pb2 import FieldRules
from mesh.annotations import field_rules
from mesh.errors import ContractError, InvalidArgument, Violation

_MAX_VIOLATIONS: Final = 100
# 0001-01-01 to 9999-12-31, and 10 000 years: the ranges of google.protobuf.Timestamp and Duration.
_TIMESTAMP_SECONDS: Final = (-62_135_596_800, 253_402_300_799)
_DURATION_SECONDS: Final = 315_576_000_000

_TEXT_RULES: Final = frozenset({"min_len", "max_len", "pattern"})
_NUMBER_RULES: Final = frozenset({"gte", "lte"})
_LIST_RULES: Final = frozenset({"min_items", "max_items", "checked_by_row"})
_NUMBER_TYPES: Final = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
        FieldDescriptor.CPPTYPE_DOUBLE,
        FieldDescriptor.CPPTYPE_FLOAT,
    }
)

_Check = Callable[[Any, str, list[Violation]], None]
"""Looks at a value found at a path and adds what is wrong with it. A message's path ends with a dot, or is empty."""

_compiled: dict[type[Message], _Check | None] = {}


def check(message: Message) -> None:
    """Raises InvalidArgument with every field that breaks a rule."""
    if found := violations(message):
        raise InvalidArgument(found)


def check_row(row: Message) -> list[Violation]:
    """What is wrong with one row of a list marked `checked_by_row`; paths begin at the row."""
    return violations(row)


def violations(message: Message) -> list[Violation]:
    """What is wrong with a message, at most 100 entries."""
    found: list[Violation] = []
    checks = compile_rules(type(message))
    if checks is not None:
        checks(message, "", found)
    return found[:_MAX_VIOLATIONS]


def compile_rules(cls: type[Message]) -> _Check | None:
    """The compiled rules of a message class, None when it has none.

    Raises ContractError when a rule does not fit its field.
    """
    try:
        return _compiled[cls]
    except KeyError:
        pass
    # A message that contains itself meets this entry while its own rules are being compiled.
    _compiled[cls] = lambda value, path, found: _run(_compiled[cls], value, path, found)
    try:
        _compiled[cls] = _of_message(cls.DESCRIPTOR)
    except ContractError:
        del _compiled[cls]
        raise
    return _compiled[cls]


def _run(checks: _Check | None, value: Any, path: str, found: list[Violation]) -> None:
    if checks is not None:
        checks(value, path, found)


def _of_message(descriptor: Any) -> _Check | None:
    if descriptor.full_name == "google.protobuf.Timestamp":
        return _timestamp
    if descriptor.full_name == "google.protobuf.Duration":
        return _duration
    if descriptor.file.package == "google.protobuf":
        return None
    checks = tuple(checks for field in descriptor.fields if (checks := _of_field(field)) is not None)
    if not checks:
        return None

    def check_message(message: Any, path: str, found: list[Violation]) -> None:
        for check_field in checks:
            check_field(message, path, found)
            if len(found) >= _MAX_VIOLATIONS:
                return

    return check_message


def _of_field(field: Any) -> _Check | None:
    rules = field_rules(field)
    _refuse_misplaced(field, rules)
    if field.is_repeated:
        return _of_list(field, rules)
    value_check = _of_value(field, rules)
    if field.has_presence:
        return _with_presence(field.name, value_check, required=rules.required)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _text_field(field.name, value_check, required=rules.required)
    # A number without presence cannot be absent: `required` only forbids an agreement to leave it out.
    if value_check is None:
        return None
    return _plain_field(field.name, value_check)


def _with_presence(name: str, value_check: _Check | None, *, required: bool) -> _Check | None:
    if value_check is None and not required:
        return None

    def check_optional(message: Any, path: str, found: list[Violation]) -> None:
        if message.HasField(name):
            if value_check is not None:
                value_check(getattr(message, name), path + name, found)
        elif required:
            found.append(Violation(path + name, "required", "must be set"))

    return check_optional


def _text_field(name: str, value_check: _Check | None, *, required: bool) -> _Check | None:
    if value_check is None and not required:
        return None

    def check_text_field(message: Any, path: str, found: list[Violation]) -> None:
        value = getattr(message, name)
        if value:
            if value_check is not None:
                value_check(value, path + name, found)
        elif required:
            found.append(Violation(path + name, "required", "must not be empty"))

    return check_text_field


def _plain_field(name: str, value_check: _Check) -> _Check:
    def check_plain_field(message: Any, path: str, found: list[Violation]) -> None:
        value_check(getattr(message, name), path + name, found)

    return check_plain_field


def _of_list(field: Any, rules: FieldRules) -> _Check | None:
    name = field.name
    least = max(int(rules.required), rules.min_items)
    least_rule = "required" if rules.required and rules.min_items <= 1 else "min_items"
    most = rules.max_items if rules.HasField("max_items") else None
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    element = field.message_type.fields_by_name["value"] if is_map else field
    element_check = None if rules.checked_by_row else _of_value(element, rules)
    if not least and most is None and element_check is None:
        return None

    def check_list(message: Any, path: str, found: list[Violation]) -> None:
        elements = getattr(message, name)
        count = len(elements)
        if count < least:
            found.append(Violation(path + name, least_rule, f"must have at least {least} elements"))
        if most is not None and count > most:
            # Looking into a list that is far too long would only cost time.
            found.append(Violation(path + name, "max_items", f"must have at most {most} elements"))
        elif element_check is not None:
            # A map's keys are the caller's own text: its entries are named by their place.
            for index, value in enumerate(elements.values() if is_map else elements):
                element_check(value, f"{path}{name}[{index}]", found)
                if len(found) >= _MAX_VIOLATIONS:
                    return

    return check_list


def _of_value(field: Any, rules: FieldRules) -> _Check | None:
    """Check of one value, be it a field's or a list element's."""
    if field.message_type is not None:
        return _of_nested(field.message_type)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _of_text(rules)
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return _of_enum(field, required=rules.required)
    if rules.HasField("gte") or rules.HasField("lte"):
        return _of_number(rules)
    return None


def _of_nested(descriptor: Any) -> _Check | None:
    checks = compile_rules(message_factory.GetMessageClass(descriptor))
    if checks is None or descriptor.file.package == "google.protobuf":
        return checks

    def check_nested(value: Any, path: str, found: list[Violation]) -> None:
        checks(value, path + ".", found)

    return check_nested


def _of_text(rules: FieldRules) -> _Check | None:
    if not any(rules.HasField(rule) for rule in ("min_len", "max_len", "pattern")):
        return None
    shortest = rules.min_len
    longest = rules.max_len if rules.HasField("max_len") else math.inf
    # RE2 knows ASCII classes only.
    pattern = re.compile(rules.pattern, re.ASCII) if rules.HasField("pattern") else None

    def check_text(value: Any, path: str, found: list[Violation]) -> None:
        if len(value) < shortest:
            found.append(Violation(path, "min_len", f"must have at least {shortest} characters"))
        if len(value) > longest:
            found.append(Violation(path, "max_len", f"must have at most {longest} characters"))
        elif pattern is not None and not pattern.fullmatch(value):
            found.append(Violation(path, "pattern", f"must match {rules.pattern}"))

    return check_text


def _of_enum(field: Any, *, required: bool) -> _Check:
    enum = field.enum_type
    known = frozenset(enum.values_by_number)
    unspecified = {0} if required else frozenset()
    wanted = f"must be a {enum.name} other than {enum.values_by_number[0].name}" if required else ""

    def check_enum(value: Any, path: str, found: list[Violation]) -> None:
        if value in unspecified:
            found.append(Violation(path, "required", wanted))
        elif value not in known:
            found.append(Violation(path, "enum", f"must be a {enum.name}"))

    return check_enum


def _of_number(rules: FieldRules) -> _Check:
    smallest = rules.gte if rules.HasField("gte") else -math.inf
    largest = rules.lte if rules.HasField("lte") else math.inf

    def check_number(value: Any, path: str, found: list[Violation]) -> None:
        if not math.isfinite(value):
            found.append(Violation(path, "finite", "must be a finite number"))
        elif value < smallest:
            found.append(Violation(path, "gte", f"must be at least {_plain(smallest)}"))
        elif value > largest:
            found.append(Violation(path, "lte", f"must be at most {_plain(largest)}"))

    return check_number


def _plain(limit: float) -> str:
    return str(int(limit)) if limit.is_integer() else repr(limit)


def _timestamp(value: Any, path: str, found: list[Violation]) -> None:
    earliest, latest = _TIMESTAMP_SECONDS
    if not (earliest <= value.seconds <= latest and 0 <= value.nanos < 1_000_000_000):
        found.append(Violation(path, "timestamp", "must be a time from year 1 to 9999"))


def _duration(value: Any, path: str, found: list[Violation]) -> None:
    in_range = abs(value.seconds) <= _DURATION_SECONDS and abs(value.nanos) < 1_000_000_000
    if not in_range or value.seconds * value.nanos < 0:
        found.append(Violation(path, "duration", "must be a duration of at most 10000 years"))


def _refuse_misplaced(field: Any, rules: FieldRules) -> None:
    stated = {rule.name for rule, _ in rules.ListFields()}
    allowed = {"required"}
    if field.is_repeated:
        allowed |= _LIST_RULES
    if field.type == FieldDescriptor.TYPE_STRING:
        allowed |= _TEXT_RULES
    if field.cpp_type in _NUMBER_TYPES:
        allowed |= _NUMBER_RULES
    if misplaced := stated - allowed:
        raise ContractError(f"{field.full_name}: rule {', '.join(sorted(misplaced))} does not fit the field's type")
    if "pattern" in stated:
        _refuse_bad_pattern(field, rules.pattern)


def _refuse_bad_pattern(field: Any, pattern: str) -> None:
    try:
        re.compile(pattern, re.ASCII)
    except re.error as error:
        raise ContractError(f"{field.full_name}: pattern is no regular expression: {error}") from None
