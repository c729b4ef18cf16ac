"""What `observability/schema` promises and what `mesh.telemetry` emits are the same, in both directions."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from opentelemetry import metrics as api_metrics
from opentelemetry import trace as api_trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Gauge, Histogram, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mesh import telemetry
from mesh.errors import Internal
from mesh.events import Event, to_headers

SCHEMA = Path(__file__).parents[2] / "observability" / "schema" / "lienthong.yaml"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SUBJECT = "events.da-nang.environment.air_quality_alert.3"


@dataclass
class Schema:
    attributes: set[str] = field(default_factory=set)
    spans: dict[str, set[str]] = field(default_factory=dict)
    """Attributes by span kind and first word of the name."""
    metrics: dict[str, tuple[str, str, str, set[str]]] = field(default_factory=dict)
    """Instrument, unit, brief and attributes by name."""


@pytest.fixture(scope="module")
def promised() -> Schema:
    schema = Schema()
    for group in yaml.safe_load(SCHEMA.read_text())["groups"]:
        names = {attribute.get("id") or attribute["ref"] for attribute in group["attributes"]}
        match group["type"]:
            case "attribute_group":
                schema.attributes |= names
            case "span":
                schema.spans[group["id"].removeprefix("span.lienthong.")] = names
            case "metric":
                schema.metrics[group["metric_name"]] = (group["instrument"], group["unit"], group["brief"], names)
    return schema


@dataclass
class Recorded:
    spans: dict[str, list[ReadableSpan]]
    metrics: dict[str, tuple[str, str, str, set[str]]]


@pytest.fixture(scope="module")
def emitted() -> Iterator[Recorded]:
    """All that `mesh.telemetry` can emit, with and without an error."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    running = telemetry.use(tracers, MeterProvider([reader]), locality="hue")

    spans = {}
    for name, emit in SPANS.items():
        emit()
        spans[name] = list(exporter.get_finished_spans())
        exporter.clear()
    for measure in MEASUREMENTS:
        measure()

    yield Recorded(spans, dict(_read(reader)))
    running.shutdown()
    telemetry.use(api_trace.NoOpTracerProvider(), api_metrics.NoOpMeterProvider(), locality="")


def _read(reader: InMemoryMetricReader) -> Iterator[tuple[str, tuple[str, str, str, set[str]]]]:
    data = reader.get_metrics_data()
    assert data is not None
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        kind = {Histogram: "histogram", Gauge: "gauge"}.get(type(metric.data), "counter")
        attributes = {name for point in metric.data.data_points for name in point.attributes or ()}
        yield metric.name, (kind, metric.unit or "", metric.description or "", attributes)


def event() -> Event:
    return Event(
        id="018f3b1e-8c2a-7000-8000-000000000001",
        source="/da-nang/environment",
        type="lienthong.environment.v1.AirQualityAlertRaised",
        time=datetime(2026, 5, 1, tzinfo=UTC),
        key="dn-01",
        data=b"",
        traceparent=PARENT,
        correlation_id="018f3b1e-8c2a-7000-8000-000000000000",
        agreement="dn-hue-air-1",
    )


def _server() -> None:
    with pytest.raises(Internal), telemetry.server_span("lienthong.a.v1.A/Do", {"traceparent": PARENT}):
        _look_up_in_vain()


def _look_up_in_vain() -> None:
    telemetry.asked_under("dn-hue-air-1")
    raise Internal("ValueError")


def _client() -> None:
    with pytest.raises(Internal), telemetry.client_span("lienthong.a.v1.A/Do"):
        raise Internal("ValueError")


def _commit() -> None:
    with pytest.raises(Internal), telemetry.commit_span("hue_health"):
        raise Internal("ValueError")


def _publish() -> None:
    with pytest.raises(Internal), telemetry.publishing("EVENTS_DA_NANG_ENVIRONMENT", SUBJECT, to_headers(event())):
        raise Internal("ValueError")


def _process() -> None:
    line = "dn-hue-air-1/environment/air_quality_alert/3"
    with (
        pytest.raises(ValueError, match="Nguyễn"),
        telemetry.consumer_span(event(), subscription="health.advise", subject=SUBJECT, line=line),
    ):
        raise ValueError("Nguyễn Văn A")


SPANS = {"rpc.server": _server, "rpc.client": _client, "commit": _commit, "publish": _publish, "process": _process}
MEASUREMENTS = [
    lambda: telemetry.commit_observed("health", 12, 0.004),
    lambda: telemetry.effect_observed("health.advise", "da-nang", 0.01),
    lambda: telemetry.line_lag_observed("health.advise", "da-nang/environment/air_quality_alert/3", 4),
    lambda: telemetry.dead_letter_observed("health.advise", "air_quality_alert"),
    lambda: telemetry.relay_observed("EVENTS_DA_NANG_ENVIRONMENT", 7, 0.2),
    lambda: telemetry.freshness_observed("dn-hue-air-1", 0.02),
]


def test_the_tests_call_every_span_and_measurement_there_is() -> None:
    """A helper added to the module without a line here would escape the comparison."""
    public = {
        name
        for name, member in inspect.getmembers(telemetry, inspect.isfunction)
        if member.__module__ == telemetry.__name__ and not name.startswith("_")
    }

    measurements = {name for name in public if name.endswith("_observed")}
    spans = {name for name in public if name.endswith("_span")} | {"publishing"}

    assert len(measurements) == len(MEASUREMENTS)
    assert len(spans) == len(SPANS)


@pytest.mark.parametrize("name", SPANS)
def test_a_span_carries_exactly_the_attributes_of_the_schema(name: str, promised: Schema, emitted: Recorded) -> None:
    [span] = emitted.spans[name]

    assert set(span.attributes or {}) == promised.spans[name]


def test_the_schema_lists_no_span_that_is_not_emitted(promised: Schema) -> None:
    assert promised.spans.keys() == SPANS.keys()


def test_metrics_are_those_of_the_schema(promised: Schema, emitted: Recorded) -> None:
    """Names, instruments, units, descriptions and attributes."""
    assert emitted.metrics == promised.metrics


def test_every_attribute_of_ours_is_in_the_registry_and_used(promised: Schema) -> None:
    used = set().union(*promised.spans.values(), *(attributes for *_, attributes in promised.metrics.values()))

    assert {name for name in used if name.startswith("lienthong.")} == promised.attributes


def test_a_consumer_span_is_a_child_of_the_publishing_span_and_linked_to_it(emitted: Recorded) -> None:
    [span] = emitted.spans["process"]

    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}-{span.parent.span_id:016x}" in PARENT
    [link] = span.links
    assert link.context.span_id == span.parent.span_id


@pytest.mark.parametrize(
    ("code", "failed"), [("OK", False), ("NOT_FOUND", False), ("INTERNAL", True), ("UNAVAILABLE", True)]
)
def test_a_call_fails_only_by_a_fault_of_the_server(code: str, failed: bool) -> None:
    """A caller that asks for what is not there is no reason to wake anybody."""
    exporter = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry.use(tracers, api_metrics.NoOpMeterProvider(), locality="hue")

    with telemetry.server_span("lienthong.a.v1.A/Do", {}) as answering:
        telemetry.answered(answering, code)

    telemetry.use(api_trace.NoOpTracerProvider(), api_metrics.NoOpMeterProvider(), locality="")
    [span] = exporter.get_finished_spans()
    assert (span.attributes or {})["rpc.response.status_code"] == code
    assert span.status.is_ok is not failed


def test_no_text_of_an_exception_is_in_a_span(emitted: Recorded) -> None:
    """It may quote a document, and so a person."""
    [span] = emitted.spans["process"]

    assert "Nguyễn" not in span.to_json()
    assert (span.attributes or {})["error.type"] == "ValueError"
