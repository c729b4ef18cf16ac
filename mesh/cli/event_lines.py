"""One event, one line: when, from where to where, what, about what, and what it says in a few words."""

from __future__ import annotations

from datetime import UTC
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text

from mesh.cli.output import clock, short
from mesh.errors import UndecodableEvent
from mesh.events import Event, catalogue

_FIELDS_SHOWN: Final = 4
_LONGEST_VALUE: Final = 48
_LONGEST_KEY: Final = 24
_STYLES: Final = {"Raised": "bold red", "Issued": "bold magenta", "Lifted": "green", "Withdrawn": "green"}


def event_line(event: Event, seen_at: str) -> Text:
    """A line for people; `seen_at` is the locality on whose bus it was seen."""
    name = short(event.type)
    style = next((style for ending, style in _STYLES.items() if name.endswith(ending)), "")
    where = Text()
    where.append(event.origin, "cyan")
    if event.origin != seen_at:
        where.append(" → ", "bold yellow")
        where.append(seen_at, "cyan")
    where.pad_right(max(0, 22 - where.cell_len))
    key = event.key if len(event.key) <= _LONGEST_KEY else f"{event.key[: _LONGEST_KEY - 1]}…"
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(clock(event.time), "dim")
    line.append("  ").append_text(where).append("  ")
    line.append(f"{name:<24}", style).append(f"  {key:<{_LONGEST_KEY}}  ").append(said_by(event), "dim")
    return line


def said_by(event: Event) -> str:
    """The first fields of the message that say something, without the key."""
    try:
        message = event.message()
        kind = catalogue()[event.type]
    except UndecodableEvent as error:
        return str(error)
    hidden = {kind.key_field, *kind.personal_fields}
    fields = [field for field, _ in message.ListFields() if field.name not in hidden and not field.is_repeated]
    said = [f"{_name(field)} {value}" for field in fields if (value := _value(field, getattr(message, field.name)))]
    return ", ".join(said[:_FIELDS_SHOWN])


def _name(field: FieldDescriptor) -> str:
    return str(field.name).replace("_", " ")


def _value(field: FieldDescriptor, value: Any) -> str:
    if isinstance(value, Timestamp):
        return value.ToDatetime(UTC).strftime("%d %b %H:%M")
    if isinstance(value, Message):
        return ""
    if field.enum_type is not None:
        return _enum_name(field, value)
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _enum_name(field: FieldDescriptor, number: int) -> str:
    known = field.enum_type.values_by_number.get(number)
    if known is None:
        return str(number)
    prefix = "".join(f"_{c}" if c.isupper() else c.upper() for c in field.enum_type.name).lstrip("_")
    return str(known.name).removeprefix(f"{prefix}_").replace("_", " ").lower()


def event_json(event: Event, seen_at: str) -> dict[str, Any]:
    """The event for programs: envelope and message."""
    shown: dict[str, Any] = {
        "locality": seen_at,
        "origin": event.origin,
        "type": event.type,
        "id": event.id,
        "key": event.key,
        "time": event.time.isoformat(),
        "sequence": event.sequence,
        "origin_sequence": event.origin_sequence,
        "key_revision": event.key_revision,
        "causation_id": event.causation_id,
        "correlation_id": event.correlation_id,
        "agreement": event.agreement,
        "withheld": list(event.withheld),
        "traceparent": event.traceparent_birth or event.traceparent,
    }
    try:
        shown["message"] = MessageToDict(event.message(), preserving_proto_field_name=True)
    except UndecodableEvent as error:
        shown["message"] = None
        shown["error"] = str(error)
    return shown
