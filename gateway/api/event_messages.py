"""Each type of event as messages of AsyncAPI: as it stands on the bus, and as the gateway delivers it."""

from __future__ import annotations

from typing import Any, Final

from gateway.api.contracts import Contracts
from gateway.api.examples import example
from gateway.api.scalars import Schema
from gateway.api.schemas import SENSITIVITY_KEY, Schemas, sensitivity_name
from gateway.api.topics import personal_scope, read_scope
from mesh.annotations import event_options
from mesh.events import CONTENT_TYPE, SCHEMA_PREFIX, SPEC_VERSION

DELIVERY: Final = "lienthong.gateway.v1.SubscribeResponse"
HEADERS: Final = "CloudEventHeaders"
_CLOUD_EVENT: Final = "lienthong.gateway.v1.CloudEvent"
_OPTIONAL: Final = frozenset({"causationid", "withheld", "agreement", "traceparent"})
_NOT_HEADERS: Final = frozenset({"data", "type", "dataschema", "datacontenttype", "specversion"})
_TRACE: Final[dict[str, Schema]] = {
    "traceparent": {"type": "string", "description": "Trace context of the last hop (W3C)."},
    "tracestate": {"type": "string", "description": "As `traceparent`."},
}


def on_the_bus(contracts: Contracts, schemas: Schemas) -> dict[str, Any]:
    """Messages by type: the NATS binding of CloudEvents in binary mode."""
    schemas.components[HEADERS] = _common_headers(contracts, schemas)
    return {event.full_name: _message(event, contracts, schemas) for event in contracts.events()}


def deliveries(contracts: Contracts, schemas: Schemas) -> dict[str, Any]:
    """Messages by type with the suffix `.delivery`: one JSON value of the event gateway's answer."""
    return {f"{event.full_name}.delivery": _delivery(event, contracts, schemas) for event in contracts.events()}


def _message(event: Any, contracts: Contracts, schemas: Schemas) -> dict[str, Any]:
    return _about(event, contracts) | {
        "contentType": CONTENT_TYPE,
        "headers": {"allOf": [{"$ref": f"#/components/schemas/{HEADERS}"}, _own_headers(event)]},
        "payload": schemas.answer(event),
        "examples": [{"payload": example(event)}],
    }


def _delivery(event: Any, contracts: Contracts, schemas: Schemas) -> dict[str, Any]:
    wanted = {"properties": {"type": {"const": event.full_name}, "data": schemas.answer(event)}}
    return _about(event, contracts) | {
        "contentType": "application/json",
        "payload": {
            "allOf": [schemas.answer(contracts.message(DELIVERY)), {"properties": {"event": wanted}}],
        },
    }


def _about(event: Any, contracts: Contracts) -> dict[str, Any]:
    options = event_options(event)
    return {
        "name": event.full_name,
        "title": event.name,
        "summary": contracts.summary(event.full_name),
        "description": contracts.comment(event.full_name),
        SENSITIVITY_KEY: sensitivity_name(options.sensitivity),
        "x-lienthong-topic": options.topic,
        "x-lienthong-key-field": options.key_field,
        "x-lienthong-read-scope": read_scope(event),
        "x-lienthong-personal-scope": personal_scope(event),
    }


def _common_headers(contracts: Contracts, schemas: Schemas) -> Schema:
    """Attributes as the contract of the gateway explains them, with the prefix of the binding."""
    fields = [field for field in contracts.message(_CLOUD_EVENT).fields if field.name not in _NOT_HEADERS]
    required = [f"ce-{field.name}" for field in fields if field.name not in _OPTIONAL]
    attributes = {f"ce-{field.name}": schemas.read_value(field) for field in fields}
    constants = {"ce-specversion": {"const": SPEC_VERSION}, "ce-datacontenttype": {"const": CONTENT_TYPE}}
    return {
        "type": "object",
        "properties": constants | attributes | _TRACE,
        "required": [*constants, *required, "ce-type", "ce-dataschema"],
    }


def _own_headers(event: Any) -> Schema:
    name = event.full_name
    return {"properties": {"ce-type": {"const": name}, "ce-dataschema": {"const": SCHEMA_PREFIX + name}}}
