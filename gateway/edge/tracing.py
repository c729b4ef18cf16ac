"""What the edge tells of each call: a span of its trace, and a line of its log. Neither holds a personal value."""

from __future__ import annotations

from typing import Any, Final

from gateway.edge.clusters import COLLECTOR
from gateway.edge.scopes import TOKEN
from mesh.telemetry import LOCALITY

NAMESPACE: Final = "service.namespace"
_DETECTORS: Final = "envoy.extensions.tracers.opentelemetry.resource_detectors.v3"
_STATIC: Final = f"type.googleapis.com/{_DETECTORS}.StaticConfigResourceDetectorConfig"

# No path, which may name a person's case; no address; of the token only its id, which means nothing to others.
ACCESS_LOG: Final = {
    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
    "rpc": "%ROUTE_NAME%",
    "method": "%REQ(:METHOD)%",
    "protocol": "%PROTOCOL%",
    "content_type": "%REQ(CONTENT-TYPE)%",
    "status": "%RESPONSE_CODE%",
    "grpc_status": "%TRAILER(GRPC-STATUS)%",
    "grpc_status_at_once": "%RESP(GRPC-STATUS)%",
    "flags": "%RESPONSE_FLAGS%",
    "why": "%RESPONSE_CODE_DETAILS%",
    "duration_ms": "%DURATION%",
    "request_bytes": "%BYTES_RECEIVED%",
    "response_bytes": "%BYTES_SENT%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "issuer": f"%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:{TOKEN}:iss)%",
    "token_id": f"%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:{TOKEN}:jti)%",
    "trace_id": "%TRACE_ID%",
}


def tracer(locality: str) -> dict[str, Any]:
    """Returns what takes a trace up, or begins one. Without a collector its cluster is empty and nothing sampled."""
    return {
        "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
        "service_name": "edge",
        "resource_detectors": [
            {
                "name": "envoy.tracers.opentelemetry.resource_detectors.static_config",
                "typed_config": {"@type": _STATIC, "attributes": {NAMESPACE: "lienthong", LOCALITY: locality}},
            }
        ],
        "grpc_service": {"envoy_grpc": {"cluster_name": COLLECTOR}, "timeout": "5s"},
    }
