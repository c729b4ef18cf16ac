"""The public RPCs as an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1)."""

from __future__ import annotations

from importlib import metadata
from typing import Any, Final

from gateway.api.contracts import Contracts
from gateway.api.errors import error_responses
from gateway.api.operations import SECURITY, operation
from gateway.api.routes import routes_of
from gateway.api.schemas import Schemas

TITLE: Final = "Lienthong"
ABOUT: Final = """\
What one locality answers to whoever stands outside.

Every RPC is also served as gRPC and gRPC-Web on the same address, with reflection. JSON follows the mapping of
protobuf: names in lowerCamelCase, absent means default, 64-bit integers as text, times in RFC 3339. Fields not
described here may come at any time and are to be ignored.

Writes carry a `requestId` of the caller's choice: repeated with the same content they return the first answer, so a
call whose answer was lost is simply repeated."""
_TOKEN: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "A token of an issuer that the locality trusts. Its claim `scope` lists, separated by spaces, what "
    "the bearer may do; each operation names the scope it needs.",
}


def openapi(contracts: Contracts) -> dict[str, Any]:
    """The document. Equal contracts make equal documents."""
    schemas = Schemas(contracts)
    paths = _paths(contracts, schemas)
    errors = error_responses(schemas, contracts)
    return {
        "openapi": "3.1.0",
        "info": info(ABOUT),
        "servers": [{"url": "/", "description": "The edge this document came from."}],
        "tags": [_tag(service, contracts) for service in contracts.public_services()],
        "paths": paths,
        "components": {
            "securitySchemes": {SECURITY: _TOKEN},
            "responses": errors,
            "schemas": dict(sorted(schemas.components.items())),
        },
    }


def info(about: str) -> dict[str, Any]:
    """What every document says of itself."""
    licence = {"name": "Apache 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}
    return {"title": TITLE, "version": metadata.version("lienthong"), "description": about, "license": licence}


def _paths(contracts: Contracts, schemas: Schemas) -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    for rpc in contracts.public_methods():
        for index, route in enumerate(routes_of(rpc)):
            paths.setdefault(route.path, {})[route.verb] = operation(route, index, schemas, contracts)
    return paths


def _tag(service: Any, contracts: Contracts) -> dict[str, str]:
    return {"name": service.full_name, "description": contracts.comment(service.full_name)}
