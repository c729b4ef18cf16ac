"""What outsiders may call, as the edge has to know it, read from the contracts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from google.api.http_pb2 import HttpRule

from gateway.api.contracts import has_http_rule, http_rule
from mesh.annotations import field_rules, method_scope
from mesh.public import PublicContracts

REQUEST_ID: Final = "request_id"


@dataclass(frozen=True, slots=True)
class PublicMethod:
    """One RPC that outsiders may call."""

    name: str
    """As gRPC's path has it, without the first slash: `lienthong.health.v1.HealthService/ListAdvisories`."""
    service: str
    """Name of the service that answers it, as `health`."""
    scope: str
    """Scope the token must carry."""
    streams: bool
    """Whether either side sends more than one message."""
    repeatable: bool
    """Whether making the call twice does no more than making it once."""
    stream_path: str
    """For a stream of answers in JSON, its URL up to the first variable; else empty."""


def public_methods(contracts: PublicContracts) -> list[PublicMethod]:
    """Lists what outsiders may call."""
    return [_public(method) for service in contracts.services for method in service.methods]


def _public(method: Any) -> PublicMethod:
    rule = http_rule(method) if has_http_rule(method) else None
    return PublicMethod(
        name=f"{method.containing_service.full_name}/{method.name}",
        service=method.containing_service.file.package.split(".")[1],
        scope=method_scope(method),
        streams=method.client_streaming or method.server_streaming,
        repeatable=_repeatable(method, rule),
        stream_path=_path(rule).partition("{")[0] if rule and method.server_streaming else "",
    )


def _repeatable(method: Any, rule: HttpRule | None) -> bool:
    """Reads are, and so is a write that must bring a `request_id`: the second one gets the answer of the first."""
    if method.client_streaming:
        return False
    request_id = method.input_type.fields_by_name.get(REQUEST_ID)
    return bool(rule and rule.get) or (request_id is not None and field_rules(request_id).required)


def _path(rule: HttpRule) -> str:
    return str(getattr(rule, rule.WhichOneof("pattern")))
