"""What a collector receives, and that a trace goes on where nothing is exported."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mesh import telemetry

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Exporting:
    otlp_endpoint: str | None
    locality: str = "hue"
    instance: str = "hue-1"


class Collector(TraceServiceServicer, MetricsServiceServicer):  # type: ignore[misc]  # generated without types
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.received: list[Any] = []

    def Export(self, request: Any, context: Any) -> Any:
        self.received.append(request)
        traces = "trace" in type(request).__name__.lower()
        return ExportTraceServiceResponse() if traces else ExportMetricsServiceResponse()


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    add_MetricsServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield collector, f"http://127.0.0.1:{port}"
    server.stop(None)
    telemetry.setup(Exporting(None), [])


def test_spans_and_metrics_reach_the_collector_when_the_process_ends(collector: tuple[Collector, str]) -> None:
    kept, endpoint = collector
    running = telemetry.setup(Exporting(endpoint), ["health"])
    with telemetry.server_span("lienthong.health.v1.HealthService/GetAdvisory", {"traceparent": PARENT}):
        telemetry.commit_observed("health", 3, 0.002)

    running.shutdown()

    [spans] = [request.resource_spans[0] for request in kept.received if hasattr(request, "resource_spans")]
    [metrics] = [request.resource_metrics[0] for request in kept.received if hasattr(request, "resource_metrics")]
    resource = {attribute.key: attribute.value.string_value for attribute in spans.resource.attributes}
    assert resource["service.name"] == "health"
    assert resource["lienthong.locality"] == "hue"
    assert spans.scope_spans[0].spans[0].trace_id.hex() in PARENT
    assert "lienthong.commit.batch_size" in {metric.name for metric in metrics.scope_metrics[0].metrics}


def test_a_process_of_several_services_is_a_node(collector: tuple[Collector, str]) -> None:
    kept, endpoint = collector
    running = telemetry.setup(Exporting(endpoint), ["environment", "health"])
    with telemetry.client_span("lienthong.health.v1.HealthService/GetAdvisory"):
        pass

    running.shutdown()

    [spans] = [request.resource_spans[0] for request in kept.received if hasattr(request, "resource_spans")]
    assert "node" in {attribute.value.string_value for attribute in spans.resource.attributes}


def test_without_a_collector_the_callers_trace_goes_on() -> None:
    """A node that exports nothing must not cut a trace that others follow."""
    telemetry.setup(Exporting(None), ["health"]).shutdown()

    with telemetry.server_span("lienthong.health.v1.HealthService/GetAdvisory", {"traceparent": PARENT}):
        inside = telemetry.inject()
    with telemetry.publishing(
        "EVENTS_HUE_HEALTH", "events.hue.health.health_advisory.1", {"traceparent": PARENT}
    ) as sent:
        pass

    assert inside == (PARENT, "")
    assert sent == {"traceparent": PARENT}
    assert telemetry.inject() == ("", "")


@pytest.mark.parametrize("traceparent", ["", "x", "00-0-0-0", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_malformed_traceparent_begins_a_new_trace(traceparent: str) -> None:
    with telemetry.server_span("lienthong.health.v1.HealthService/GetAdvisory", {"traceparent": traceparent}):
        assert telemetry.inject() == ("", "")


@pytest.mark.parametrize(
    "traceparent",
    [PARENT, PARENT[:-1] + "0", PARENT[:-2] + "03", PARENT[:-2] + "ff", f" {PARENT} ", f"01{PARENT[2:]}-x"],
)
def test_a_traceparent_is_understood_as_the_propagator_understands_it(traceparent: str) -> None:
    theirs = TraceContextTextMapPropagator().extract({"traceparent": traceparent}, Context())

    ours = telemetry.context_from(traceparent)

    expected = trace.get_current_span(theirs).get_span_context()
    assert trace.get_current_span(ours).get_span_context() == expected
    assert expected.is_valid
