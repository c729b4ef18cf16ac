"""A receiver of traces: what every process exports by OTLP, kept in memory."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True)
class ReceivedSpan:
    """One span, with the ids in hexadecimal."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    links: tuple[str, ...]
    """Ids of the spans it is linked to."""
    attributes: dict[str, str]
    locality: str
    """Locality of the process that exported it."""


class TraceReceiver(trace_service_pb2_grpc.TraceServiceServicer, metrics_service_pb2_grpc.MetricsServiceServicer):
    """An OTLP/gRPC collector on a free port."""

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
        self.metrics: set[str] = set()
        self._server = grpc.server(ThreadPoolExecutor(4))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(self, self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> TraceReceiver:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=None)

    def Export(self, request, context):  # the name is the contract's
        if isinstance(request, metrics_service_pb2.ExportMetricsServiceRequest):
            for resource in request.resource_metrics:
                for scope in resource.scope_metrics:
                    self.metrics.update(metric.name for metric in scope.metrics)
            return metrics_service_pb2.ExportMetricsServiceResponse()
        for resource in request.resource_spans:
            locality = _attributes(resource.resource.attributes).get("lienthong.locality", "")
            for scope in resource.scope_spans:
                self.spans.extend(_span(span, locality) for span in scope.spans)
        return trace_service_pb2.ExportTraceServiceResponse()

    def trace(self, id: str) -> list[ReceivedSpan]:
        return [span for span in self.spans if span.trace == id]


def ancestors(span: ReceivedSpan, spans: list[ReceivedSpan]) -> Iterator[ReceivedSpan]:
    """The span's parent, its parent's parent, and so on."""
    by_id = {other.id: other for other in spans}
    while (parent := by_id.get(span.parent)) is not None:
        yield parent
        span = parent


def _span(span, locality: str) -> ReceivedSpan:
    return ReceivedSpan(
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        name=span.name,
        kind=span.kind,
        links=tuple(link.span_id.hex() for link in span.links),
        attributes=_attributes(span.attributes),
        locality=locality,
    )


def _attributes(pairs) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in pairs}
