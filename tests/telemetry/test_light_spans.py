"""A light span tells what the SDK's would: compared with spans of the SDK, and as a collector receives them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, Tracer, TracerProvider, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from mesh.light_spans import LightSpan, StartSpan, starting
from mesh.span_exporter import LightSpanExporter
from mesh.telemetry import context_from

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NAME = "lienthong.health.v1.HealthService/GetAdvisory"
ATTRIBUTES = {"rpc.system.name": "grpc", "rpc.method": NAME}
ROOT = Context()
REMOTE = context_from(PARENT)
RANDOM = context_from(PARENT[:-1] + "3")
STATEFUL = context_from(PARENT, "vendor=1")
UNSAMPLED = context_from(PARENT[:-1] + "0")
LOCAL = trace.set_span_in_context(
    trace.NonRecordingSpan(trace.SpanContext(7, 9, is_remote=False, trace_flags=trace.TraceFlags(1)))
)
Story = Callable[[Span], object]


class Numbered(RandomIdGenerator):
    """The same ids in every run."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def generate_span_id(self) -> int:
        return next(self._numbers)

    def generate_trace_id(self) -> int:
        return next(self._numbers)


class Recording:
    """A tracer and what came of its spans."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(id_generator=Numbered())
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        tracer = provider.get_tracer("lienthong.mesh")
        assert isinstance(tracer, Tracer)
        self.tracer = tracer

    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()


def nothing(span: Span) -> None:
    """A span like most."""


def answered(span: Span) -> None:
    span.set_attribute("rpc.response.status_code", "OK")


def failed(span: Span) -> None:
    span.set_attribute("error.type", "INTERNAL")
    span.set_status(Status(StatusCode.ERROR))


def numbered(span: Span) -> None:
    span.set_attribute("messaging.batch.message_count", 3)
    span.set_attributes({"a": "b", "c": [1, 2]})


def eventful(span: Span) -> None:
    span.add_event("retried", {"after": 1}, timestamp=5)
    span.add_link(trace.SpanContext(1, 2, is_remote=True))
    span.set_attribute("a", "b")
    span.update_name("another")


def raised(span: Span) -> None:
    span.record_exception(ValueError("no"), timestamp=6)


def crowded(span: Span) -> None:
    for number in range(200):
        span.set_attribute(f"attribute-{number}", "x")


def ended_before(span: Span) -> None:
    span.end(12)
    span.set_attribute("too", "late")


STORIES: list[Story] = [nothing, answered, failed, numbered, eventful, raised, crowded, ended_before]
PARENTS = [ROOT, REMOTE, RANDOM, STATEFUL, LOCAL]


def tell(start: StartSpan, context: Context, story: Story) -> None:
    span = start(NAME, context, SpanKind.SERVER, ATTRIBUTES)
    story(span)
    span.end(12)


def told(span: ReadableSpan) -> dict[str, Any]:
    as_json: dict[str, Any] = json.loads(span.to_json())
    flags = span.context.trace_flags if span.context else None
    return {**as_json, "start_time": None, "flags": flags, "dropped": span.dropped_attributes}


@pytest.mark.parametrize("context", PARENTS, ids=["root", "remote", "random", "stateful", "local"])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_it_tells_what_a_span_of_the_sdk_tells(context: Context, story: Story) -> None:
    ours, theirs = Recording(), Recording()

    tell(starting(ours.tracer), context, story)
    tell(theirs.tracer.start_span, context, story)

    assert [told(span) for span in ours.spans()] == [told(span) for span in theirs.spans()]


@pytest.mark.parametrize("context", PARENTS, ids=["root", "remote", "random", "stateful", "local"])
def test_calls_are_light(context: Context) -> None:
    """Else the comparison above would compare the SDK with itself."""
    assert type(starting(Recording().tracer)(NAME, context, SpanKind.SERVER, ATTRIBUTES)) is LightSpan


def test_what_the_caller_does_not_sample_is_not_recorded() -> None:
    recording = Recording()

    tell(starting(recording.tracer), UNSAMPLED, answered)

    assert recording.spans() == ()


def test_a_linked_span_is_the_sdks() -> None:
    recording = Recording()
    link = Link(trace.SpanContext(1, 2, is_remote=True))

    starting(recording.tracer)("process", ROOT, SpanKind.CONSUMER, ATTRIBUTES, [link]).end()

    [span] = recording.spans()
    assert [found.context.span_id for found in span.links] == [2]


def test_another_sampler_is_obeyed() -> None:
    tracer = TracerProvider(sampler=sampling.ALWAYS_OFF).get_tracer("lienthong.mesh")

    assert not starting(tracer)(NAME, ROOT, SpanKind.SERVER, ATTRIBUTES).is_recording()


@pytest.fixture
def exporter() -> Iterator[LightSpanExporter]:
    exporter = LightSpanExporter(endpoint="http://127.0.0.1:1", timeout=1)
    yield exporter
    exporter.shutdown()


def test_a_collector_receives_the_same_as_from_the_sdks_encoder(exporter: LightSpanExporter) -> None:
    """Every story twice: the first of a shape is encoded by the SDK, the second is a copy."""
    recording = Recording()
    for story in STORIES * 2:
        for context in PARENTS:
            tell(starting(recording.tracer), context, story)

    ours, theirs = exporter._translate_data(recording.spans()), encode_spans(recording.spans())

    assert by_id(ours) == by_id(theirs)
    [frame] = theirs.resource_spans
    for part in ours.resource_spans:
        assert part.resource == frame.resource
        assert part.scope_spans[0].scope == frame.scope_spans[0].scope


def by_id(request: Any) -> dict[bytes, Any]:
    return {span.span_id: span for part in request.resource_spans for span in part.scope_spans[0].spans}
