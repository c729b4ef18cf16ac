"""Takes traces and metrics over OTLP and drops them unread: the exporter's work is measured, not a collector's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

_METHODS = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "Export",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "Export",
}


@asynccontextmanager
async def running() -> AsyncIterator[str]:
    """Runs it on the present loop; yields the endpoint."""
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(_drop)
    for service, method in _METHODS.items():
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def _drop(request: Any, context: Any) -> bytes:
    return b""
