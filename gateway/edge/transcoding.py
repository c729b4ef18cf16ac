"""JSON for gRPC: how requests and answers are translated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gateway.edge.public_api import PublicMethod
from gateway.edge.settings import EdgeSettings

_TYPE: Final = "type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"


def transcoder(methods: Sequence[PublicMethod], descriptors: Path, settings: EdgeSettings) -> dict[str, Any]:
    """Returns the transcoder of all public services; streams are JSON objects, one on each line."""
    return _transcoder(methods, descriptors, settings, {"stream_newline_delimited": True})


def for_event_source(method: PublicMethod, descriptors: Path, settings: EdgeSettings) -> dict[str, Any]:
    """Returns the transcoder for one stream as server-sent events."""
    wanted = {"stream_newline_delimited": True, "stream_sse_style_delimited": True}
    return _transcoder([method], descriptors, settings, wanted)


def _transcoder(
    methods: Sequence[PublicMethod], descriptors: Path, settings: EdgeSettings, printing: dict[str, Any]
) -> dict[str, Any]:
    return {
        "@type": _TYPE,
        "proto_descriptor": str(descriptors),
        "services": sorted({method.name.partition("/")[0] for method in methods}),
        "print_options": printing,
        "convert_grpc_status": True,
        # A parameter nobody knows is a mistake, not something to pass over.
        "request_validation_options": {"reject_unknown_query_parameters": True},
        "max_request_body_size": settings.max_json_bytes,
        "max_response_body_size": settings.max_json_bytes,
    }
