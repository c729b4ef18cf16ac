"""One event, one line: when, from where to where, what, about what, and what it says in a few words."""

from __future__ import annotations

from datetime import UTC
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text

from mesh.cli.output import clock, short
from mesh.errors import UndecodableEvent
from mesh.events import Event, catalogue

_FIELDS_SHOWN: Final = 4
_LONGEST_VALUE: Final = 40
_LONGEST_KEY: Final = 20
_KEY_WIDTH: Final = 12
_ID_SHOWN: Final = 6
"""Last digits of an id, which are random; `lienthong events show` takes them."""
_WHERE_WIDTH: Final = 19
"""`da-nang → hue`; longer ones push the rest of their line."""
_TYPE_WIDTH: Final = 23
_STYLES: Final = {"Raised": "bold red", "Issued": "bold magenta", "Lifted": "green", "Withdrawn": "green"}


def event_line(event: Event, seen_at: str) -> Text:
    """A line for people, with the end of the event's id; `seen_at` is the locality on whose bus it was seen."""
    name = short(event.type)
    style = next((style for ending, style in _STYLES.items() if name.endswith(ending)), "")
    where = Text(event.origin, "cyan")
    if event.origin != seen_at:
        where.append(" → ", "bold yellow").append(seen_at, "cyan")
    where.pad_right(max(0, _WHERE_WIDTH - where.cell_len))
    key = event.key if len(event.key) <= _LONGEST_KEY else f"{event.key[: _LONGEST_KEY - 1]}…"
    line = Text(f"{clock(event.time)} {event.id[-_ID_SHOWN:]}  ", "dim", no_wrap=True, overflow="ellipsis", end="")
    line.append_text(where).append(f"  {name:<{_TYPE_WIDTH}}", style or "default").append(f"  {key:<{_KEY_WIDTH}}")
    return line.append(f"  {said_by(event)}", "dim")


def said_by(event: Event) -> str:
    """The first fields of the message that say something, without the key."""
    try:
        message = event.message()
        kind = catalogue()[event.type]
    except UndecodableEvent as error:
        return str(error)
    hidden = {kind.key_field, *kind.personal_fields}
    fields = [field for field, _ in message.ListFields() if field.name not in hidden and not field.is_repeated]
    told = [value for field in fields if (value := said(field, getattr(message, field.name)))]
    return " · ".join(told[:_FIELDS_SHOWN])


def said(field: FieldDescriptor, value: Any, longest: int = _LONGEST_VALUE) -> str:
    """A value in a few words; a number says what it is."""
    if isinstance(value, Timestamp):
        return value.ToDatetime(UTC).strftime("%d %b %H:%M")
    if isinstance(value, Message):
        return ""
    if field.enum_type is not None:
        return _enum_name(field.enum_type, value)
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[: longest - 1]}…"
    number = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{field.name} {number}".replace("_", " ")


def _enum_name(enum: EnumDescriptor, number: int) -> str:
    known = enum.values_by_number.get(number)
    if known is None:
        return str(number)
    prefix = "".join(f"_{c}" if c.isupper() else c.upper() for c in enum.name).lstrip("_")
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
