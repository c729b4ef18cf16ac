"""Exports spans over OTLP; what light spans have in common is encoded once (ADR-0026)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Encoded
from opentelemetry.sdk.trace import ReadableSpan

from mesh.light_spans import LightSpan

_MOST_SHAPES: Final = 1000
_OWN: Final = ("trace_id", "span_id", "parent_span_id", "start_time_unix_nano", "end_time_unix_nano")
"""What a span shares with no other of its shape."""


class LightSpanExporter(OTLPSpanExporter):
    """The SDK's exporter, except that of the spans of one shape its encoder sees the first; the others are copies."""

    def __init__(self, *, endpoint: str, timeout: float) -> None:
        """Exports to the collector at `endpoint`, each time within `timeout` seconds."""
        super().__init__(endpoint=endpoint, timeout=timeout)
        self._shapes: dict[Hashable, bytes] = {}
        """Encoded spans without what is their own."""

    def _translate_data(self, data: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
        others: list[ReadableSpan] = []
        by_scope: dict[int, list[tuple[LightSpan, Hashable]]] = defaultdict(list)
        for span in data:
            shape = span.shape() if isinstance(span, LightSpan) else None
            if isinstance(span, LightSpan) and shape is not None:
                by_scope[id(span.instrumentation_scope)].append((span, shape))
            else:
                others.append(span)
        request = encode_spans(others)
        for spans in by_scope.values():
            request.resource_spans.append(_frame(spans[0][0]))
            into = request.resource_spans[-1].scope_spans[0].spans
            for span, shape in spans:
                self._copy(span, shape, into.add())
        return request

    def _copy(self, span: LightSpan, shape: Hashable, into: Encoded) -> None:
        into.ParseFromString(self._shapes.get(shape) or self._first(span, shape))
        context, parent = span.get_span_context(), span.parent
        into.trace_id = context.trace_id.to_bytes(16, "big")
        into.span_id = context.span_id.to_bytes(8, "big")
        if parent is not None:
            into.parent_span_id = parent.span_id.to_bytes(8, "big")
        into.start_time_unix_nano = span.start_time or 0
        into.end_time_unix_nano = span.end_time or 0

    def _first(self, span: LightSpan, shape: Hashable) -> bytes:
        encoded = encode_spans([span]).resource_spans[0].scope_spans[0].spans[0]
        for name in _OWN:
            encoded.ClearField(name)
        if len(self._shapes) >= _MOST_SHAPES:
            self._shapes.clear()
        self._shapes[shape] = encoded.SerializeToString()
        return self._shapes[shape]


def _frame(span: LightSpan) -> ResourceSpans:
    """Resource and scope of a span, without the span."""
    [frame] = encode_spans([span]).resource_spans
    del frame.scope_spans[0].spans[:]
    return frame
