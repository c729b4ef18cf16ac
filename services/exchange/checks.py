"""What an agreement must satisfy before it may be applied, beyond its shape.

Nothing personal crosses in this version: that needs encryption for the recipient, which is not built yet.
"""

from __future__ import annotations

from collections.abc import Iterator

from lienthong.exchange.v1 import Agreement, SharedEvent
from lienthong.mesh.v1 import SENSITIVITY_PERSONAL
from mesh.errors import InvalidArgument, Violation
from mesh.events import EventType, catalogue
from mesh.localities import slugs
from services.exchange.agreement import valid_from, valid_until
from services.exchange.lookup_checks import lookup_violations
from services.exchange.not_yet import NOT_YET
from services.exchange.projection import ALL_FIELDS


def check_agreement(agreement: Agreement, here: str) -> None:
    """Raises InvalidArgument naming all that is wrong with an agreement that locality `here` is to keep."""
    violations = [
        *_parties(agreement, here),
        *_validity(agreement),
        *_something(agreement),
        *_event_types(agreement),
        *lookup_violations(agreement),
    ]
    if violations:
        raise InvalidArgument(violations)


def _parties(agreement: Agreement, here: str) -> Iterator[Violation]:
    for role in ("provider", "recipient"):
        slug = getattr(agreement, role)
        if slug not in slugs():
            yield Violation(role, "known", f"{slug} is no locality; a locality is named by its slug, such as da-nang")
    if agreement.provider == agreement.recipient:
        yield Violation("recipient", "differs", "must be another locality than the provider")
    if here not in (agreement.provider, agreement.recipient):
        yield Violation("provider", "party", f"neither provider nor recipient is {here}, where it was to be applied")


def _validity(agreement: Agreement) -> Iterator[Violation]:
    if valid_until(agreement) <= valid_from(agreement):
        yield Violation("valid_until", "order", "must be later than valid_from")
    if agreement.HasField("start") and agreement.start.ToSeconds() >= agreement.valid_until.ToSeconds():
        yield Violation("start", "order", "must be earlier than valid_until")


def _something(agreement: Agreement) -> Iterator[Violation]:
    if not agreement.events and not agreement.lookups:
        yield Violation("events", "required", "an agreement shares events, or grants lookups, or both")


def _event_types(agreement: Agreement) -> Iterator[Violation]:
    seen: set[str] = set()
    for index, shared in enumerate(agreement.events):
        if shared.type in seen:
            yield Violation(f"events[{index}].type", "unique", f"{shared.type} is listed twice")
        seen.add(shared.type)
        yield from _event(shared, f"events[{index}]")


def _event(shared: SharedEvent, path: str) -> Iterator[Violation]:
    contract = catalogue().get(shared.type)
    if contract is None:
        yield Violation(f"{path}.type", "known", f"no contract here has an event {shared.type}")
    elif contract.sensitivity == SENSITIVITY_PERSONAL:
        yield Violation(f"{path}.type", "personal", f"{shared.type} is PERSONAL; {NOT_YET}")
    elif list(shared.fields) == [ALL_FIELDS]:
        for name in sorted(contract.required_fields & contract.personal_fields):
            yield Violation(
                f"{path}.fields", "required", f"{name} of {shared.type} is required and PERSONAL; {NOT_YET}"
            )
    else:
        yield from _named_fields(shared, f"{path}.fields", contract)
        yield from _left_out(shared, f"{path}.fields", contract)


def _named_fields(shared: SharedEvent, path: str, contract: EventType) -> Iterator[Violation]:
    for index, name in enumerate(shared.fields):
        if name == ALL_FIELDS:
            yield Violation(f"{path}[{index}]", "alone", f"{ALL_FIELDS} means all fields and stands alone")
        elif name not in contract.fields:
            known = ", ".join(contract.fields)
            yield Violation(f"{path}[{index}]", "known", f"{shared.type} has no field {name}; it has {known}")
        elif name in contract.personal_fields:
            yield Violation(f"{path}[{index}]", "personal", f"{name} is PERSONAL; {NOT_YET}")


def _left_out(shared: SharedEvent, path: str, contract: EventType) -> Iterator[Violation]:
    # The key travels as `ce-subject` in any case.
    for name in sorted((contract.required_fields | {contract.key_field}) - set(shared.fields)):
        yield Violation(path, "required", f"{name} is required and must not be left out of {shared.type}")
