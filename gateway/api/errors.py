"""How errors look to callers who speak JSON: `google.rpc.Status`, with details."""

from __future__ import annotations

from typing import Any, Final

from gateway.api.contracts import Contracts
from gateway.api.scalars import Schema
from gateway.api.schemas import Schemas

STATUS: Final = "google.rpc.Status"
DETAILS: Final = ("BadRequest", "ErrorInfo", "PreconditionFailure", "ResourceInfo", "RetryInfo")
"""Those that `mesh.errors` sends."""

MEANINGS: Final[dict[str, str]] = {
    "400": "INVALID_ARGUMENT names each field and rule, FAILED_PRECONDITION the states that allow it, OUT_OF_RANGE "
    "what is still held. Nothing was written.",
    "401": "UNAUTHENTICATED: no token, or one that is expired, or not signed by an issuer of this locality.",
    "403": "PERMISSION_DENIED names the scope that the token lacks.",
    "404": "NOT_FOUND: no such thing, or no such path.",
    "409": "ALREADY_EXISTS: the `requestId` was used with other content. ABORTED: something else changed at the same "
    "time; repeat the call.",
    "413": "The request is larger than the edge takes.",
    "429": "RESOURCE_EXHAUSTED: too much, too fast. RetryInfo says when to repeat.",
    "503": "UNAVAILABLE: repeat the call with the same `requestId`; it is not done twice.",
    "504": "DEADLINE_EXCEEDED: as with 503, what became of the call is learnt by repeating it.",
}
ANY_CALL: Final = ("400", "401", "403", "404", "429", "503", "504")
WITH_BODY: Final = ("409", "413")


def error_responses(schemas: Schemas, contracts: Contracts) -> dict[str, Any]:
    """Components of all errors, by HTTP status and `default`."""
    schema = _status(schemas, contracts)
    meanings = MEANINGS | {"default": "Any other error."}
    return {
        _name(code): {"description": meaning, "content": {"application/json": {"schema": schema}}}
        for code, meaning in meanings.items()
    }


def references(*, with_body: bool) -> dict[str, Any]:
    """What an operation may answer with instead of its answer."""
    codes = sorted([*ANY_CALL, *(WITH_BODY if with_body else ())])
    return {code: {"$ref": f"#/components/responses/{_name(code)}"} for code in (*codes, "default")}


def _name(code: str) -> str:
    return f"Error{code}" if code.isdigit() else "Error"


def _status(schemas: Schemas, contracts: Contracts) -> Schema:
    reference = schemas.answer(contracts.message(STATUS))
    known = [_detail(schemas, contracts, f"google.rpc.{name}") for name in DETAILS]
    status = schemas.components[STATUS]
    status["required"] = ["code", "message"]
    status["properties"]["details"]["items"] = {"anyOf": [*known, status["properties"]["details"]["items"]]}
    return reference


def _detail(schemas: Schemas, contracts: Contracts, name: str) -> Schema:
    """The detail as JSON writes what is packed into an Any: its fields, and its type beside them."""
    kind = {"properties": {"@type": {"const": f"type.googleapis.com/{name}"}}, "required": ["@type"]}
    return {"allOf": [schemas.answer(contracts.message(name)), kind]}
