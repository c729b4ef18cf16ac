"""What the edge answers by itself, in the form in which services answer: `google.rpc.Status` with an `ErrorInfo`.

Clients of gRPC and gRPC-Web get code and message in their own way, all others an HTTP status and JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from gateway.edge.scopes import TOKEN, VERIFICATION
from mesh.errors import DOMAIN

CLIENT_TYPE: Final = "x-edge-client-type"
"""Header that keeps the content type as the client sent it."""

_TYPES: Final = "type.googleapis.com/google.rpc."
_AS_ENVOY_SAYS: Final = "%LOCAL_REPLY_BODY%"
_GRPC: Final = "application/grpc.*"
_VERIFIED: Final = {
    "matcher": {
        "filter": VERIFICATION,
        "path": [{"key": TOKEN}],
        "value": {"present_match": True},
    },
    "match_if_key_not_found": False,
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What is said for one HTTP status."""

    status: int
    code: int
    """Number in google.rpc.Code."""
    reason: str
    message: str = _AS_ENVOY_SAYS
    retry_after: str = ""
    verified: bool = False
    """Whether only for requests whose token is good."""
    says_status: int = 0
    """Another HTTP status to answer with."""


_REPLIES: Final = (
    Reply(400, 3, "INVALID_ARGUMENT"),
    Reply(401, 16, "UNAUTHENTICATED"),
    Reply(403, 7, "PERMISSION_DENIED", "the token lacks scope %METADATA(ROUTE:lienthong:scope)%", verified=True),
    # Envoy forbids what is for another audience; services say that such a token proves nothing here.
    Reply(403, 16, "UNAUTHENTICATED", says_status=401),
    Reply(404, 5, "NOT_FOUND", "no such method or document"),
    Reply(408, 4, "DEADLINE_EXCEEDED", "not done in time", says_status=504),
    Reply(413, 8, "RESOURCE_EXHAUSTED", "the request is too large"),
    Reply(415, 3, "INVALID_ARGUMENT"),
    Reply(429, 8, "RESOURCE_EXHAUSTED", "too many requests of one subject", retry_after="1s"),
    Reply(431, 8, "RESOURCE_EXHAUSTED", "the headers of the request are too large"),
    Reply(500, 13, "INTERNAL", "the edge could not answer"),
    Reply(502, 14, "UNAVAILABLE", "the service broke off", retry_after="1s"),
    Reply(503, 14, "UNAVAILABLE", "the service does not answer", retry_after="1s"),
    Reply(504, 4, "DEADLINE_EXCEEDED", "not done in time"),
)


def replies() -> list[dict[str, Any]]:
    """Returns one rule for each reply and kind of client, of which the first that fits counts."""
    return [rule for reply in _REPLIES for rule in (_to_grpc(reply), _to_others(reply))]


def _to_grpc(reply: Reply) -> dict[str, Any]:
    return _rule(reply, grpc=True) | {
        "body_format_override": {"text_format_source": {"inline_string": reply.message}},
    }


def _to_others(reply: Reply) -> dict[str, Any]:
    details: list[dict[str, Any]] = [{"@type": f"{_TYPES}ErrorInfo", "reason": reply.reason, "domain": DOMAIN}]
    if reply.retry_after:
        details.append({"@type": f"{_TYPES}RetryInfo", "retryDelay": reply.retry_after})
    body = {"code": reply.code, "message": reply.message, "details": details}
    headers = {"grpc-status": str(reply.code), "grpc-message": reply.message, "x-trace-id": "%TRACE_ID%"}
    return _rule(reply, grpc=False) | {
        "body_format_override": {"json_format": body, "content_type": "application/json"},
        "headers_to_add": [
            {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for key, value in headers.items()
        ],
    }


def _rule(reply: Reply, *, grpc: bool) -> dict[str, Any]:
    value = {"default_value": reply.status, "runtime_key": f"edge.reply_{reply.status}"}
    content_type = {
        "name": CLIENT_TYPE,
        "string_match": {"safe_regex": {"regex": _GRPC}},
        "treat_missing_header_as_empty": True,
        "invert_match": not grpc,
    }
    filters: list[dict[str, Any]] = [
        {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}},
        {"header_filter": {"header": content_type}},
        *([{"metadata_filter": _VERIFIED}] if reply.verified else []),
    ]
    status = {"status_code": reply.says_status} if reply.says_status else {}
    return {"filter": {"and_filter": {"filters": filters}}, **status}
