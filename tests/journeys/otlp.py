"""A receiver of traces: what every process exports by OTLP, kept in memory, and the ways traces tell."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from tests.hosts import eventually

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
CALLER = "00f067aa0ba902b7"
"""Span of whoever makes a call that begins a trace."""

Hop = tuple[int, str]
"""Kind of a span and the locality of its process."""


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


def traced(trace: str) -> tuple[str, str]:
    """Metadata of a call that is part of a trace."""
    return ("traceparent", f"00-{trace}-{CALLER}-01")


def called(locality: str) -> list[Hop]:
    """The end of a way back: the call."""
    return [(SERVER, locality)]


def reacted(locality: str) -> list[Hop]:
    """A step of a way back within a locality: a handler, and the relay of the log it reads."""
    return [(CONSUMER, locality), (PRODUCER, locality)]


def crossed(provider: str, recipient: str) -> list[Hop]:
    """The steps of a way back over a border: exchange inward, share log's relay, exchange outward, relay."""
    return [(CONSUMER, recipient), (PRODUCER, provider), (CONSUMER, provider), (PRODUCER, provider)]


async def way_back(
    receiver: TraceReceiver, trace: str, locality: str, subscription: str, hops: Sequence[Hop]
) -> list[ReceivedSpan]:
    """From what a subscription did in a locality back to the call that caused it, parent by parent.

    Waits for it, as processes export their spans at their own pace. Each consumer is linked to its producer.
    """

    def ways() -> list[list[ReceivedSpan]]:
        spans = receiver.trace(trace)
        handled = [span for span in spans if (span.kind, span.locality) == (CONSUMER, locality)]
        effects = [span for span in handled if span.attributes["messaging.consumer.group.name"] == subscription]
        return [[effect, *ancestors(effect, spans)] for effect in effects]

    way = await eventually(lambda: next((way for way in ways() if _hops(way) == list(hops)), None))
    assert way[-1].parent == CALLER
    for consumer, producer in itertools.pairwise(way):
        if consumer.kind == CONSUMER:
            assert consumer.links == (producer.id,)
    return way


async def committed(receiver: TraceReceiver, trace: str, localities: set[str]) -> None:
    """Returns when a trace has told of commits in these localities."""
    await eventually(lambda: localities <= {span.locality for span in receiver.trace(trace) if span.name == "commit"})


def _hops(way: Sequence[ReceivedSpan]) -> list[Hop]:
    return [(span.kind, span.locality) for span in way]


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
