"""What the lookups of an agreement must satisfy before it may be applied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lienthong.exchange.v1 import Agreement, GrantedLookup
from mesh.annotations import field_rules, is_personal
from mesh.errors import Violation
from mesh.lookup import Lookup, find_rpc, lookup_of
from services.exchange.answer_fields import Path, is_entered, path_of
from services.exchange.not_yet import NOT_YET
from services.exchange.projection import ALL_FIELDS


def lookup_violations(agreement: Agreement) -> Iterator[Violation]:
    """Yields all that is wrong with the lookups of an agreement."""
    seen: set[str] = set()
    for index, granted in enumerate(agreement.lookups):
        path = f"lookups[{index}]"
        if granted.rpc in seen:
            yield Violation(f"{path}.rpc", "unique", f"{granted.rpc} is listed twice")
        seen.add(granted.rpc)
        yield from _granted(granted, path)


def _granted(granted: GrantedLookup, path: str) -> Iterator[Violation]:
    rpc = find_rpc(granted.rpc)
    if rpc is None:
        known = "it is named as lienthong.environment.v1.EnvironmentService/ListStations"
        yield Violation(f"{path}.rpc", "known", f"no contract here has an RPC {granted.rpc}; {known}")
    elif (lookup := lookup_of(rpc)) is None:
        yield Violation(f"{path}.rpc", "lookup", f"{granted.rpc} is no lookup: its contract does not declare it one")
    else:
        yield from _fields(granted, f"{path}.fields", lookup)


def _fields(granted: GrantedLookup, path: str, lookup: Lookup) -> Iterator[Violation]:
    answer: Any = lookup.response.DESCRIPTOR
    if list(granted.fields) == [ALL_FIELDS]:
        paths = frozenset((name,) for name, one in answer.fields_by_name.items() if not is_personal(one))
    else:
        yield from _named_fields(granted, path, answer)
        paths = frozenset(path_of(name) for name in granted.fields)
    for name in _left_out(answer, paths):
        yield Violation(path, "required", f"{name} is required and must not be left out of {answer.name}")


def _named_fields(granted: GrantedLookup, path: str, answer: Any) -> Iterator[Violation]:
    for index, name in enumerate(granted.fields):
        if name == ALL_FIELDS:
            yield Violation(f"{path}[{index}]", "alone", f"{ALL_FIELDS} means all fields and stands alone")
        elif fault := _fault(answer, path_of(name), name):
            yield Violation(f"{path}[{index}]", *fault)


def _fault(message: Any, steps: Path, name: str) -> tuple[str, str] | None:
    """Rule and complaint about a path, walked from `message`; None where it may be granted."""
    step, beneath = steps[0], steps[1:]
    one = message.fields_by_name.get(step)
    if one is None:
        known = ", ".join(message.fields_by_name)
        return "known", f"{message.name} has no field {step}, of {name}; it has {known}"
    if not beneath:
        return ("personal", f"{name} is PERSONAL, or holds what is; {NOT_YET}") if is_personal(one) else None
    if not is_entered(one):
        return "known", f"{name} goes into {step}, which crosses whole or not at all"
    return _fault(one.message_type, beneath, name)


def _left_out(message: Any, paths: frozenset[Path], above: str = "") -> Iterator[str]:
    """Yields required fields that are missing beside the fields of a message that are granted."""
    for name, one in message.fields_by_name.items():
        inner = frozenset(path[1:] for path in paths if path[0] == name)
        if not inner and field_rules(one).required:
            yield f"{above}{name}"
        elif () not in inner and inner and is_entered(one):
            yield from _left_out(one.message_type, inner, f"{above}{name}.")
