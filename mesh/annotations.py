"""What a contract says beyond its shapes: the options of `lienthong/mesh/v1/annotations.proto`, with types.

The stubs protoc writes know neither the type of an extension nor that the descriptors of its C implementation are
descriptors; this module is the one place that has to.
"""

from __future__ import annotations

from typing import Any

from google.api import annotations_pb2 as api

from lienthong.mesh.v1 import annotations_pb2


def is_event(message: Any) -> bool:
    """Whether the message of this descriptor is marked as an event."""
    return bool(message.GetOptions().HasExtension(annotations_pb2.event))


def event_options(message: Any) -> annotations_pb2.EventOptions:
    """Options of an event; empty for a message that is none."""
    options: annotations_pb2.EventOptions = message.GetOptions().Extensions[annotations_pb2.event]
    return options


def field_rules(field: Any) -> annotations_pb2.FieldRules:
    """What a field must satisfy; empty when its contract says nothing."""
    rules: annotations_pb2.FieldRules = field.GetOptions().Extensions[annotations_pb2.rules]
    return rules


def field_sensitivity(field: Any) -> int:
    """How much harm a disclosure of the field itself would do, a `lienthong.mesh.v1.Sensitivity`."""
    return int(field.GetOptions().Extensions[annotations_pb2.sensitivity])


def is_personal(field: Any) -> bool:
    """Whether a field is marked as concerning a person, or holds a message with such a field at any depth."""
    return _is_personal(field, frozenset())


def _is_personal(field: Any, above: frozenset[str]) -> bool:
    if field_sensitivity(field) == annotations_pb2.SENSITIVITY_PERSONAL:
        return True
    message = field.message_type
    if message is None or message.full_name in above:
        return False
    return any(_is_personal(inner, above | {message.full_name}) for inner in message.fields)


def method_scope(method: Any) -> str:
    """Scope a caller of this RPC needs; empty when its contract names none, and then nobody may call it."""
    return str(method.GetOptions().Extensions[annotations_pb2.method].scope)


def is_lookup(method: Any) -> bool:
    """Whether the contract of this RPC says that other localities may ask it; see `mesh.lookup`."""
    return bool(method.GetOptions().Extensions[annotations_pb2.method].lookup)


def is_public(method: Any) -> bool:
    """Whether outsiders may call this RPC through the edge: an RPC of its service has a `google.api.http` rule."""
    return any(one.GetOptions().HasExtension(api.http) for one in method.containing_service.methods)
