"""The events as an AsyncAPI 3.0 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0).

It describes Lienthong, so its operations send. Outsiders receive on the one channel of the event gateway; services of
the locality on the bus, where each topic has its subjects.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.api.contracts import Contracts, http_rule
from gateway.api.event_messages import deliveries, on_the_bus
from gateway.api.openapi import info
from gateway.api.schemas import Schemas
from gateway.api.topics import Topic, topics
from mesh.events import PARTITIONS, event_subject

SUBSCRIBE: Final = "lienthong.gateway.v1.EventGateway.Subscribe"
_GATEWAY: Final = "event-gateway"
_ABOUT: Final = """\
Events of one locality, its own and those that other localities share with it. Each is a CloudEvent 1.0.

From outside, subscribe at the event gateway, the channel `event-gateway`: one JSON value a line, or server-sent
events. Each delivery carries a cursor; after a break go on with `afterCursor`, and nothing is lost or comes twice.
Fields marked PERSONAL are withheld from tokens without their scope.

Services of the locality read the bus: the other channels, one for each topic. There the event's attributes are
headers and its payload is the protobuf message; the schema shows its JSON form."""


def asyncapi(contracts: Contracts) -> dict[str, Any]:
    """The document. Equal contracts make equal documents."""
    schemas = Schemas(contracts)
    messages = on_the_bus(contracts, schemas) | deliveries(contracts, schemas)
    found = topics(contracts)
    return {
        "asyncapi": "3.0.0",
        "info": info(_ABOUT),
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {_GATEWAY: _gateway(contracts, messages)} | {topic.name: _topic(topic) for topic in found},
        "operations": _operations(found),
        "components": {
            "messages": messages,
            "schemas": dict(sorted(schemas.components.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _operations(found: list[Topic]) -> dict[str, Any]:
    outside = {f"deliver.{topic.name}": _delivery(topic) for topic in found}
    inside = {f"emit.{topic.name}": _emission(topic) for topic in found}
    return outside | inside


def _servers() -> dict[str, Any]:
    return {
        "edge": {
            "host": "{edge}",
            "protocol": "https",
            "description": "The edge of the locality.",
            "variables": {"edge": {"default": "localhost", "description": "Host and port."}},
            "security": [{"$ref": "#/components/securitySchemes/token"}],
        },
        "bus": {
            "host": "{bus}",
            "protocol": "nats",
            "description": "NATS with JetStream, inside the locality only.",
            "variables": {"bus": {"default": "localhost:4222", "description": "Host and port."}},
        },
    }


def _gateway(contracts: Contracts, messages: dict[str, Any]) -> dict[str, Any]:
    rpc = contracts.method(SUBSCRIBE)
    names = [name for name in messages if name.endswith(".delivery")]
    return {
        "address": http_rule(rpc).get,
        "title": "Event gateway",
        "description": contracts.comment(SUBSCRIBE),
        "servers": [{"$ref": "#/servers/edge"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
    }


def _topic(topic: Topic) -> dict[str, Any]:
    partitions = [str(partition) for partition in range(PARTITIONS)]
    return {
        "address": event_subject("{origin}", topic.sector, topic.topic, "{partition}"),
        "title": topic.name,
        "description": f"Events of one {topic.key_field.removesuffix('_id')} come in order: they share a partition.",
        "servers": [{"$ref": "#/servers/bus"}],
        "parameters": {
            "origin": {"description": "Slug of the locality the event was born in."},
            "partition": {"enum": partitions, "description": f"CRC-32 of the key, modulo {PARTITIONS}."},
        },
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in topic.types},
    }


def _delivery(topic: Topic) -> dict[str, Any]:
    query = "&".join(f"types={name}" for name in topic.types)
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{_GATEWAY}"},
        "summary": f"Delivers {topic.name} to a subscriber outside",
        "description": f"`GET /events/v1/events:subscribe?{query}`",
        "bindings": {"http": {"method": "GET", "bindingVersion": "0.3.0"}},
        "messages": [{"$ref": f"#/channels/{_GATEWAY}/messages/{name}.delivery"} for name in topic.types],
    }


def _emission(topic: Topic) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": f"Publishes {topic.name} in the locality",
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{name}"} for name in topic.types],
    }
