"""Events: which types there are, and how one stands on the bus.

The catalogue is built from the descriptors of the contracts. On the bus an event is a CloudEvent 1.0 in binary mode
(https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/nats-protocol-binding.md): attributes are headers
with the prefix `ce-`, the payload is the protobuf message.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, Final, cast
from urllib.parse import quote, unquote
from zlib import crc32

import uuid_utils
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor, FileDescriptor
from google.protobuf.message import DecodeError, Message

import lienthong
from lienthong.mesh.v1 import annotations_pb2
from mesh.annotations import event_options, field_rules, is_event, is_personal
from mesh.errors import ContractError, Internal, UndecodableEvent
from mesh.validation import violations

PARTITIONS: Final = 8
KEY_PATTERN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
SPEC_VERSION: Final = "1.0"
CONTENT_TYPE: Final = "application/protobuf"
SCHEMA_PREFIX: Final = "urn:lienthong:schema:"

_TOPIC_PATTERN: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SOURCE_PATTERN: Final = re.compile(r"/([a-z0-9][a-z0-9-]*)/([a-z0-9][a-z0-9_-]*)")
_VERSION_PATTERN: Final = re.compile(r"v[0-9]+\w*")
# The binding encodes what HTTP's does: space, quote, percent and whatever is not printable ASCII.
_SAFE_CHARS: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_UNSAFE: Final = re.compile(r"[^!#$&-~]")
_DIGITS: Final = re.compile(r"[0-9]{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class EventType:
    """One event message of a contract."""

    name: str
    """Full name, as `lienthong.environment.v1.AirQualityAlertRaised`."""
    cls: type[Message]
    topic: str
    sector: str
    """From the package: `lienthong.<sector>.v1`."""
    key_field: str
    sensitivity: int
    """A `lienthong.mesh.v1.Sensitivity`."""
    required_fields: frozenset[str]
    personal_fields: frozenset[str]
    """Fields marked PERSONAL, and those whose message holds one at any depth."""
    fields: tuple[str, ...]
    """All fields, in the order of their numbers."""

    def key_of(self, message: Message) -> str:
        """What the message is about."""
        return cast(str, getattr(message, self.key_field))


class Catalogue:
    """Event types by class and by name."""

    def __init__(self) -> None:
        self._by_class: dict[type[Message], EventType] = {}
        self._by_name: dict[str, EventType] = {}

    @classmethod
    def build(cls) -> Catalogue:
        """Catalogue of every installed `lienthong.*` package and every other contract imported so far.

        Raises ContractError when an event's options are incomplete.
        """
        for found in pkgutil.walk_packages(lienthong.__path__, "lienthong."):
            if not found.name.endswith("_pb2_grpc"):
                importlib.import_module(found.name)
        catalogue = cls()
        for descriptor in _imported_messages():
            if is_event(descriptor):
                catalogue.add(message_factory.GetMessageClass(descriptor))
        return catalogue

    def add(self, cls: type[Message]) -> EventType:
        """Adds one event class; adding it again changes nothing."""
        event_type = _event_type(cls)
        self._by_class[cls] = self._by_name[event_type.name] = event_type
        return event_type

    def of(self, cls: type[Message]) -> EventType:
        """Type of an event class. Raises ContractError when the class is no event."""
        return self._by_class.get(cls) or self.add(cls)

    def get(self, name: str) -> EventType | None:
        """Type of that full name, if a contract installed here has it."""
        return self._by_name.get(name)

    def __getitem__(self, name: str) -> EventType:
        """Type of that full name. Raises UndecodableEvent when no contract installed here has it."""
        try:
            return self._by_name[name]
        except KeyError:
            raise UndecodableEvent("ce-type names no event of an installed contract") from None

    def __iter__(self) -> Iterator[EventType]:
        return iter(sorted(self._by_name.values(), key=lambda event_type: event_type.name))

    def __len__(self) -> int:
        return len(self._by_name)


@cache
def catalogue() -> Catalogue:
    """The process's catalogue."""
    return Catalogue.build()


def _imported_messages() -> Iterator[Any]:
    files = (getattr(module, "DESCRIPTOR", None) for module in list(sys.modules.values()))
    for file in files:
        if isinstance(file, FileDescriptor):
            yield from _with_nested(file.message_types_by_name.values())


def _with_nested(descriptors: Any) -> Iterator[Any]:
    for descriptor in descriptors:
        yield descriptor
        yield from _with_nested(descriptor.nested_types)


def _event_type(cls: type[Message]) -> EventType:
    descriptor: Any = cls.DESCRIPTOR
    options = event_options(descriptor)
    personal = frozenset(field.name for field in descriptor.fields if is_personal(field))
    if fault := _fault(descriptor, options, personal):
        raise ContractError(f"event {descriptor.full_name}: {fault}")
    return EventType(
        name=descriptor.full_name,
        cls=cls,
        topic=options.topic,
        sector=sector_of(descriptor.file.package),
        key_field=options.key_field,
        sensitivity=options.sensitivity,
        required_fields=frozenset(field.name for field in descriptor.fields if field_rules(field).required),
        personal_fields=personal,
        fields=tuple(field.name for field in sorted(descriptor.fields, key=lambda field: int(field.number))),
    )


def _fault(descriptor: Any, options: annotations_pb2.EventOptions, personal: frozenset[str]) -> str:
    if not is_event(descriptor):
        return "the message has no option (lienthong.mesh.v1.event)"
    if not _TOPIC_PATTERN.fullmatch(options.topic):
        return f"topic {options.topic!r} is not in lower_snake_case"
    if options.sensitivity == annotations_pb2.SENSITIVITY_UNSPECIFIED:
        return "sensitivity is not set"
    key = descriptor.fields_by_name.get(options.key_field)
    if key is None:
        return f"key_field {options.key_field!r} is none of its fields"
    if key.type != FieldDescriptor.TYPE_STRING or key.is_repeated:
        return f"key_field {options.key_field!r} is not a single string"
    if options.key_field in personal:
        return f"key_field {options.key_field!r} is personal; a key is an opaque id"
    return ""


def sector_of(package: str) -> str:
    """Name of the sector whose contract a package holds: `environment` for `lienthong.environment.v1`."""
    parts = [part for part in package.split(".") if not _VERSION_PATTERN.fullmatch(part)]
    return parts[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event with all that is known about it beside its message. A draft has no sequence yet."""

    id: str
    """UUIDv7, the same wherever the event goes."""
    source: str
    """`/<locality>/<sector>` it was born in."""
    type: str
    time: datetime
    """When it was emitted, UTC."""
    key: str
    data: bytes
    """The message, serialized."""
    sequence: int = 0
    """Number on the line it was read from."""
    origin_sequence: int = 0
    """Number on the line it was born on."""
    key_revision: int = 0
    """Grows with every event of a key, not contiguous; equal to the sequence at birth."""
    causation_id: str = ""
    """`id` of the event whose handler emitted this one."""
    correlation_id: str = ""
    """`id` of the first event of the story, or what the first caller gave."""
    withheld: tuple[str, ...] = ()
    """Fields an agreement left out."""
    traceparent_birth: str = ""
    traceparent: str = ""
    """Trace context of the last hop."""
    tracestate: str = ""
    agreement: str = ""

    @property
    def origin(self) -> str:
        """Slug of the locality it was born in."""
        return _split_source(self.source)[0]

    @property
    def sector(self) -> str:
        """Sector it was born in."""
        return _split_source(self.source)[1]

    @property
    def topic(self) -> str:
        """Raises UndecodableEvent when no contract installed here has the type."""
        return catalogue()[self.type].topic

    @property
    def partition(self) -> int:
        """Partition of its key."""
        return partition_of(self.key)

    @property
    def line(self) -> str:
        """Its line on a log of events."""
        return line_name(self.origin, self.sector, self.topic, self.partition)

    @property
    def share_line(self) -> str:
        """Its line on a share log."""
        return line_name(self.agreement, self.sector, self.topic, self.partition)

    def message(self) -> Message:
        """The event message. Raises UndecodableEvent."""
        event_type = catalogue()[self.type]
        try:
            return event_type.cls.FromString(self.data)
        except DecodeError:
            raise UndecodableEvent(f"the payload is no {event_type.name}") from None


def new_event(
    message: Message,
    *,
    source: str,
    time: datetime,
    causation: Event | None = None,
    correlation_id: str = "",
    traceparent: str = "",
    tracestate: str = "",
) -> Event:
    """Draft of the event a handler emits. `time` is aware.

    Raises Internal when the message breaks its contract: that is a defect of the handler, not of its caller.
    """
    event_type = catalogue().of(type(message))
    key = event_type.key_of(message)
    if not KEY_PATTERN.fullmatch(key):
        raise Internal(f"event {event_type.name}: {event_type.key_field}: does not match {KEY_PATTERN.pattern}")
    if found := violations(message):
        raise Internal(f"event {event_type.name}: {found[0]}")
    event_id = str(uuid_utils.uuid7())
    if causation is not None:
        correlation_id = correlation_id or causation.correlation_id
    return Event(
        id=event_id,
        source=source,
        type=event_type.name,
        time=time.astimezone(UTC),
        key=key,
        data=message.SerializeToString(deterministic=True),
        causation_id="" if causation is None else causation.id,
        correlation_id=correlation_id or event_id,
        traceparent_birth=traceparent,
        traceparent=traceparent,
        tracestate=tracestate,
    )


def to_headers(event: Event) -> dict[str, str]:
    """Headers of the NATS message whose payload is `event.data`."""
    event_type = _encode(event.type)
    headers = {
        "ce-specversion": SPEC_VERSION,
        "ce-id": _encode(event.id),
        "ce-source": _encode(event.source),
        "ce-type": event_type,
        "ce-time": _rfc3339(event.time),
        "ce-subject": event.key,
        "ce-dataschema": SCHEMA_PREFIX + event_type,
        "ce-datacontenttype": CONTENT_TYPE,
        "ce-sequence": str(event.sequence),
        "ce-originsequence": str(event.origin_sequence),
        "ce-keyrevision": str(event.key_revision),
        "ce-partitionkey": event.key,
        "ce-correlationid": _encode(event.correlation_id),
    }
    if event.causation_id:
        headers["ce-causationid"] = _encode(event.causation_id)
    if event.withheld:
        headers["ce-withheld"] = ",".join(event.withheld)
    if event.agreement:
        headers["ce-agreement"] = _encode(event.agreement)
    if event.traceparent_birth:
        headers["ce-traceparent"] = _encode(event.traceparent_birth)
    if event.traceparent:
        headers["traceparent"] = event.traceparent
    if event.tracestate:
        headers["tracestate"] = event.tracestate
    return headers


def from_headers(headers: Mapping[str, str] | None, data: bytes) -> Event:
    """The event of a NATS message. Headers it does not know are ignored.

    Raises UndecodableEvent naming the header that is wrong, without its value.
    """
    if not headers:
        raise UndecodableEvent("the message has no headers")
    get = headers.get
    if get("ce-specversion") != SPEC_VERSION:
        raise UndecodableEvent(f"ce-specversion is not {SPEC_VERSION}")
    if get("ce-datacontenttype") != CONTENT_TYPE:
        raise UndecodableEvent(f"ce-datacontenttype is not {CONTENT_TYPE}")
    source = _text(headers, "ce-source")
    _split_source(source)
    key = get("ce-subject", "")
    if not KEY_PATTERN.fullmatch(key):
        raise UndecodableEvent(f"ce-subject does not match {KEY_PATTERN.pattern}")
    if get("ce-partitionkey", key) != key:
        raise UndecodableEvent("ce-partitionkey is not ce-subject")
    withheld = get("ce-withheld")
    return Event(
        id=_text(headers, "ce-id"),
        source=source,
        type=_text(headers, "ce-type"),
        time=_time(get("ce-time", "")),
        key=key,
        data=data,
        sequence=_number(headers, "ce-sequence"),
        origin_sequence=_number(headers, "ce-originsequence"),
        key_revision=_number(headers, "ce-keyrevision"),
        causation_id=_decode(get("ce-causationid", "")),
        correlation_id=_decode(get("ce-correlationid", "")),
        withheld=tuple(withheld.split(",")) if withheld else (),
        traceparent_birth=_decode(get("ce-traceparent", "")),
        traceparent=get("traceparent", ""),
        tracestate=get("tracestate", ""),
        agreement=_decode(get("ce-agreement", "")),
    )


def partition_of(key: str) -> int:
    """Partition of the lines that carry a key; the same in every process and language."""
    return crc32(key.encode()) % PARTITIONS


def source_of(locality: str, sector: str) -> str:
    """CloudEvents source of what a sector of a locality emits."""
    return f"/{locality}/{sector}"


def line_name(origin_or_agreement: str, sector: str, topic: str, partition: int) -> str:
    """Name of a line; a share log's lines begin with the agreement instead of the origin."""
    return f"{origin_or_agreement}/{sector}/{topic}/{partition}"


def event_subject(origin: str, sector: str, topic: str, partition: int | str) -> str:
    """Subject of an event in its locality; any token may be `*`, the last one `>`."""
    return f"events.{origin}.{sector}.{topic}.{partition}"


def shared_subject(from_: str, to: str, agreement: str, sector: str, topic: str, partition: int | str) -> str:
    """Subject of an event on its way to another locality; any token may be `*`, the last one `>`."""
    return f"shared.{from_}.{to}.{agreement}.{sector}.{topic}.{partition}"


def events_stream(locality: str, service: str) -> str:
    """Stream of a service's log, as `EVENTS_DA_NANG_HEALTH`."""
    return f"EVENTS_{_stream_token(locality)}_{_stream_token(service)}"


def _stream_token(name: str) -> str:
    return name.upper().replace("-", "_")


@lru_cache(maxsize=4096)
def _split_source(source: str) -> tuple[str, str]:
    match = _SOURCE_PATTERN.fullmatch(source)
    if match is None:
        raise UndecodableEvent("ce-source is not /<locality>/<sector>")
    return match[1], match[2]


def _encode(value: str) -> str:
    return quote(value, safe=_SAFE_CHARS) if _UNSAFE.search(value) else value


def _decode(value: str) -> str:
    return unquote(value) if "%" in value else value


def _text(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise UndecodableEvent(f"{name} is missing")
    return unquote(value) if "%" in value else value


def _number(headers: Mapping[str, str], name: str) -> int:
    value = headers.get(name, "")
    if not _DIGITS.fullmatch(value):
        raise UndecodableEvent(f"{name} is not a decimal number")
    return int(value)


def _rfc3339(time: datetime) -> str:
    return f"{time.astimezone(UTC).isoformat(timespec='microseconds')[:-6]}Z"


def _time(value: str) -> datetime:
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise UndecodableEvent("ce-time is not an RFC 3339 time") from None
    if time.tzinfo is None:
        raise UndecodableEvent("ce-time has no offset")
    return time.astimezone(UTC)
