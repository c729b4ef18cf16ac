"""Where calls go: one route for each public RPC, and nowhere else.

A call in JSON is routed twice: by its URL, which only decides how it is read, then, translated, by the path of its RPC.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gateway.edge.documents import Document
from gateway.edge.inside import INSIDE
from gateway.edge.public_api import PublicMethod
from gateway.edge.scopes import scope_needed
from gateway.edge.settings import EdgeSettings
from gateway.edge.transcoding import for_event_source
from mesh.public_reflection import SERVICE as REFLECTION

EVENTS: Final = "gateway"
"""Service that answers reflection, too: it knows all public contracts."""

_STREAM_TIMES: Final = {"timeout": "0s", "idle_timeout": "0s"}
"""A subscription may be silent for hours. Pings and keep-alives find out that its client has gone."""
_NEVER_ARRIVED: Final = "connect-failure,refused-stream"
_NOT_DONE: Final = "connect-failure,refused-stream,reset,unavailable"


def routes(
    methods: Sequence[PublicMethod], documents: Sequence[Document], descriptors: Path, settings: EdgeSettings
) -> list[dict[str, Any]]:
    """Returns all routes; the first that matches counts."""
    return [
        *(_to_document(document) for document in documents),
        *(_to_method(method, settings) for method in methods),
        *(_to_reflection(version) for version in ("v1", "v1alpha")),
        *(_event_source(method, descriptors, settings) for method in methods if method.stream_path),
        _read_whole(settings),
        {"name": "none", "match": {"prefix": "/"}, "direct_response": {"status": 404}},
    ]


def _to_document(document: Document) -> dict[str, Any]:
    body = {"filename": str(document.file), "watched_directory": {"path": str(document.file.parent)}}
    # Envoy's CORS filter passes over direct responses; and what is public may be read by any page.
    headers = {"content-type": document.content_type, "access-control-allow-origin": "*"}
    return {
        "name": document.path,
        "match": {"path": document.path},
        "direct_response": {"status": 200, "body": body},
        "response_headers_to_add": [
            {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for key, value in headers.items()
        ],
    }


def _to_method(method: PublicMethod, settings: EdgeSettings) -> dict[str, Any]:
    times = _STREAM_TIMES if method.streams else _call_times(settings)
    return {
        "name": method.name,
        "match": {"path": f"/{method.name}", "headers": [_content_type_is_grpc(True)]},
        "route": {"cluster": method.service, **times, "retry_policy": _retries(method)},
        "metadata": {"filter_metadata": {"lienthong": {"scope": method.scope}}},
        "typed_per_filter_config": {"envoy.filters.http.rbac": scope_needed(method.scope)},
    }


def _to_reflection(version: str) -> dict[str, Any]:
    name = f"grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    return {
        "name": name,
        "match": {"path": f"/{name}", "headers": [_content_type_is_grpc(True)]},
        "route": {"cluster": EVENTS, "prefix_rewrite": f"/{REFLECTION}/ServerReflectionInfo", **_STREAM_TIMES},
    }


def _event_source(method: PublicMethod, descriptors: Path, settings: EdgeSettings) -> dict[str, Any]:
    """Chooses how a stream is written for who reads server-sent events."""
    accepts = {"name": "accept", "string_match": {"contains": "text/event-stream"}}
    how = {"envoy.filters.http.grpc_json_transcoder": for_event_source(method, descriptors, settings)}
    return _until_translated({"prefix": method.stream_path, "headers": [accepts]}, how)


def _read_whole(settings: EdgeSettings) -> dict[str, Any]:
    """A request in JSON is one message; it is read whole, or refused as too large, before it is translated."""
    limit = {"buffer": {"max_request_bytes": settings.max_json_bytes}}
    here = {"@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute", **limit}
    match = {"prefix": "/", "headers": [_content_type_is_grpc(False)]}
    return _until_translated(match, {"envoy.filters.http.buffer": here})


def _until_translated(match: dict[str, Any], how: dict[str, Any]) -> dict[str, Any]:
    """Who stays on this route is told that there is nothing. (A route that answers itself would know no CORS.)"""
    return {"name": "none", "match": match, "route": {"cluster": INSIDE}, "typed_per_filter_config": how}


def _content_type_is_grpc(wanted: bool) -> dict[str, Any]:
    """gRPC-Web too, and JSON once it is translated."""
    return {
        "name": "content-type",
        "string_match": {"prefix": "application/grpc"},
        "treat_missing_header_as_empty": True,
        "invert_match": not wanted,
    }


def _call_times(settings: EdgeSettings) -> dict[str, Any]:
    """As the longest life of a call, not as its timeout: then gRPC clients get DEADLINE_EXCEEDED, not UNAVAILABLE."""
    longest = f"{settings.call_timeout_s}s"
    return {
        "timeout": "0s",
        "max_stream_duration": {"max_stream_duration": longest, "grpc_timeout_header_max": longest},
    }


def _retries(method: PublicMethod) -> dict[str, Any]:
    """Patient for 3 s on average, 7 s at most, for a client's own tries are few: gRPC makes five."""
    return {
        "retry_on": _NOT_DONE if method.repeatable else _NEVER_ARRIVED,
        "num_retries": 6,
        "retry_back_off": {"base_interval": "0.2s", "max_interval": "2s"},
    }
