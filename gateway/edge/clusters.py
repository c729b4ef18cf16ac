"""Whom the edge calls: the services, the issuers' keys, the collector of spans."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.edge import inside
from gateway.edge.issuers import believed
from gateway.edge.settings import EdgeSettings
from mesh.identity import Identity, server_name
from mesh.stack.edge_place import EdgePlace

COLLECTOR: Final = "collector"

_TLS: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_HTTP: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_MANY: Final = 20_000


def clusters(
    services: Iterable[str], place: EdgePlace, settings: EdgeSettings, secrets: dict[str, Any]
) -> list[dict[str, Any]]:
    """Returns all of them; `services` are names, `secrets` says where certificates come from."""
    remote = {one.cluster: one.jwks for one in believed(place) if one.is_remote}
    issuers = [_keys(cluster, uri, settings.ca_bundle) for cluster, uri in remote.items()]
    own = [_service(name, place, secrets) for name in services]
    return [*own, *issuers, inside.cluster(), _collector(place.collector)]


def _service(name: str, place: EdgePlace, secrets: dict[str, Any]) -> dict[str, Any]:
    host, port = place.elsewhere.get(name, place.services).rsplit(":", 1)
    return _cluster(name, host, int(port)) | {
        "typed_extension_protocol_options": _http2(),
        # Events and calls to one service in numbers that Envoy's defaults, 1 024 at a time, do not foresee.
        "circuit_breakers": {
            "thresholds": [{"max_requests": _MANY, "max_pending_requests": _MANY, "max_retries": 1000}]
        },
        "per_connection_buffer_limit_bytes": 65536,
        "health_checks": [_health_check(name)],
        "transport_socket": _mutual_tls(place.locality, secrets),
    }


def _health_check(service: str) -> dict[str, Any]:
    """With one address it decides nothing: a service whose only process is ill is still asked."""
    return {
        "timeout": "1s",
        "interval": "5s",
        "no_traffic_interval": "30s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "grpc_health_check": {"service_name": service},
    }


def _http2() -> dict[str, Any]:
    """A stream that its client does not read holds back at most its own window; a connection has room for many."""
    http2 = {
        "initial_stream_window_size": 65536,
        "initial_connection_window_size": 2**28,
        "connection_keepalive": {"interval": "30s", "timeout": "10s"},
        "max_concurrent_streams": _MANY,
    }
    return {_HTTP: {"@type": f"type.googleapis.com/{_HTTP}", "explicit_http_config": {"http2_protocol_options": http2}}}


def _mutual_tls(locality: str, secrets: dict[str, Any]) -> dict[str, Any]:
    names = [{"san_type": "URI", "matcher": {"prefix": Identity(locality, "").uri}}]
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": _TLS,
            "sni": server_name(locality),
            "common_tls_context": {
                "tls_certificate_sds_secret_configs": [secrets["certificate"]],
                "combined_validation_context": {
                    "default_validation_context": {"match_typed_subject_alt_names": names},
                    "validation_context_sds_secret_config": secrets["authorities"],
                },
            },
        },
    }


def _keys(name: str, uri: str, ca_bundle: Path) -> dict[str, Any]:
    """In the clear only on this machine; the setting allows nothing else."""
    url = urlsplit(uri)
    host = url.hostname or ""
    if url.scheme == "http":
        return _cluster(name, host, url.port or 80)
    trusted = {"validation_context": {"trusted_ca": {"filename": str(ca_bundle)}}}
    tls = {"@type": _TLS, "sni": host, "auto_sni_san_validation": True, "common_tls_context": trusted}
    return _cluster(name, host, url.port or 443) | {
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls}
    }


def _collector(endpoint: str | None) -> dict[str, Any]:
    if endpoint is None:
        return {"name": COLLECTOR, "type": "STATIC", "load_assignment": {"cluster_name": COLLECTOR}}
    url = urlsplit(endpoint)
    return _cluster(COLLECTOR, url.hostname or "", url.port or 4317) | {"typed_extension_protocol_options": _http2()}


def _cluster(name: str, host: str, port: int) -> dict[str, Any]:
    address = {"socket_address": {"address": host, "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }
