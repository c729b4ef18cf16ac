"""One RPC as an operation of OpenAPI."""

from __future__ import annotations

from typing import Any, Final

from gateway.api.contracts import Contracts
from gateway.api.errors import references
from gateway.api.examples import example_request
from gateway.api.routes import Parameter, Route
from gateway.api.schemas import Schemas
from mesh.annotations import method_scope

SECURITY: Final = "token"
NDJSON: Final = "application/x-ndjson"
SERVER_SENT_EVENTS: Final = "text/event-stream"
_STREAMED: Final = (
    "Answers come one after the other until the caller leaves: one JSON value a line, or, with "
    f"`Accept: {SERVER_SENT_EVENTS}`, one event each. The schema is that of one of them."
)


def operation(route: Route, index: int, schemas: Schemas, contracts: Contracts) -> dict[str, Any]:
    """The operation of one route; `index` counts the routes of an RPC from 0."""
    rpc: Any = route.rpc
    made: dict[str, Any] = {
        "operationId": f"{rpc.containing_service.name}_{rpc.name}" + (f"_{index + 1}" if index else ""),
        "tags": [rpc.containing_service.full_name],
        "summary": contracts.summary(rpc.full_name),
        "description": _description(rpc, contracts),
        "security": [{SECURITY: [method_scope(rpc)]}],
    }
    if parameters := [_parameter(given, schemas) for given in (*route.in_path, *route.in_query)]:
        made["parameters"] = _with_examples(route, parameters)
    if route.body:
        made["requestBody"] = _body(route, schemas)
    made["responses"] = {"200": _answer(rpc, schemas), **references(with_body=bool(route.body))}
    return made


def _description(rpc: Any, contracts: Contracts) -> str:
    said = [contracts.comment(rpc.full_name), f"Needs the scope `{method_scope(rpc)}`."]
    return "\n\n".join([*said, _STREAMED] if rpc.server_streaming else said)


def _parameter(given: Parameter, schemas: Schemas) -> dict[str, Any]:
    schema = schemas.sent_value(given.field)
    made: dict[str, Any] = {"name": given.name, "in": "query", "description": schema.pop("description", "")}
    if given.required:
        made["required"] = True
    return made | {"schema": schema}


def _with_examples(route: Route, parameters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    examples = example_request(route)
    in_path = {given.name for given in route.in_path}
    for parameter in parameters:
        if parameter["name"] in in_path:
            parameter["in"] = "path"
        if parameter["name"] in examples.parameters:
            parameter["example"] = examples.parameters[parameter["name"]]
    return parameters


def _body(route: Route, schemas: Schemas) -> dict[str, Any]:
    request: Any = route.rpc.input_type
    if route.body == "*":
        schema = schemas.body(request, without=(given.path for given in route.in_path))
    else:
        schema = schemas.sent_value(request.fields_by_name[route.body])
    content = {"schema": schema, "example": example_request(route).body}
    return {"required": True, "content": {"application/json": content}}


def _answer(rpc: Any, schemas: Schemas) -> dict[str, Any]:
    kinds = (NDJSON, SERVER_SENT_EVENTS) if rpc.server_streaming else ("application/json",)
    schema = schemas.answer(rpc.output_type)
    return {"description": "The answer.", "content": {kind: {"schema": schema} for kind in kinds}}
