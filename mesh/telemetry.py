"""Spans, metrics and logs of the runtime; services contain none of it.

Names follow the OpenTelemetry semantic conventions for RPC, messaging and databases. Those of our own begin with
`lienthong.` and are listed in `observability/schema`; a test compares. No value of a field of a message is in any of
them, nor the text of a foreign exception: both may be personal.

Without `otlp_endpoint` nothing is recorded, but a trace context that a caller sends still goes all the way.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from types import TracebackType
from typing import Final, Protocol, Self

from opentelemetry import metrics, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.semconv._incubating.attributes import messaging_attributes as messaging
from opentelemetry.semconv._incubating.attributes import rpc_attributes as rpc
from opentelemetry.semconv._incubating.attributes import service_attributes as service
from opentelemetry.semconv._incubating.metrics import messaging_metrics, rpc_metrics
from opentelemetry.semconv.attributes import db_attributes as db
from opentelemetry.semconv.attributes import error_attributes as error
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mesh.errors import MeshError
from mesh.events import Event
from mesh.light_spans import StartSpan, starting
from mesh.postponed import PostponedHistogram
from mesh.span_exporter import LightSpanExporter

SCOPE: Final = "lienthong.mesh"

LOCALITY: Final = "lienthong.locality"
SECTOR: Final = "lienthong.sector"
TOPIC: Final = "lienthong.topic"
LINE: Final = "lienthong.line"
AGREEMENT: Final = "lienthong.agreement"
ORIGIN: Final = "lienthong.origin"
STREAM: Final = "lienthong.stream"
SUBSCRIPTION: Final = "lienthong.subscription"

_SERVER_FAULTS: Final = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""Codes that count as a failure of the server, not of its caller (semantic conventions for gRPC)."""
_EXPORT_TIMEOUT_S: Final = 5
_AGES_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_DURATIONS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_UNITS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_propagator: Final = TraceContextTextMapPropagator()
_PLAIN_PARENT: Final = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
"""What nearly every sender writes; the propagator knows the rest, at three times the price."""
_ROOT: Final = Context()


class Exporting(Protocol):
    """Settings that say where telemetry goes."""

    @property
    def otlp_endpoint(self) -> str | None:
        """OTLP/gRPC collector; without it nothing is exported."""

    @property
    def locality(self) -> str:
        """Locality of the process."""

    @property
    def instance(self) -> str:
        """Name of the process among those of its service."""


class _Instruments:
    """What the runtime measures. Names without a `lienthong.` of their own are semantic conventions'."""

    def __init__(self, meter: metrics.Meter) -> None:
        self.rpc_duration = PostponedHistogram(
            meter.create_histogram(
                rpc_metrics.RPC_SERVER_CALL_DURATION,
                unit="s",
                description="Duration of calls answered.",
                explicit_bucket_boundaries_advisory=_DURATIONS_S,
            )
        )
        self.process_duration = meter.create_histogram(
            messaging_metrics.MESSAGING_PROCESS_DURATION,
            unit="s",
            description="Duration of handling one event.",
            explicit_bucket_boundaries_advisory=_DURATIONS_S,
        )
        self.commit_units = meter.create_histogram(
            "lienthong.commit.batch_size",
            unit="{unit}",
            description="Units of work committed together.",
            explicit_bucket_boundaries_advisory=_UNITS,
        )
        self.commit_duration = meter.create_histogram(
            "lienthong.commit.duration",
            unit="s",
            description="Duration of one commit.",
            explicit_bucket_boundaries_advisory=_DURATIONS_S,
        )
        self.event_age = meter.create_histogram(
            "lienthong.event.age",
            unit="s",
            description="Age of an event when its effect is committed.",
            explicit_bucket_boundaries_advisory=_AGES_S,
        )
        self.line_lag = meter.create_gauge(
            "lienthong.line.lag", unit="{event}", description="Events of a line that no mark covers yet."
        )
        self.dead_letters = meter.create_counter(
            "lienthong.dead_letters", unit="{event}", description="Events a subscription gave up."
        )
        self.relay_lag = meter.create_gauge(
            "lienthong.relay.lag", unit="{event}", description="Events of a log that are not in its stream yet."
        )
        self.relay_age = meter.create_gauge(
            "lienthong.relay.age",
            unit="s",
            description="Age of the oldest event of a log that is not in its stream yet.",
        )
        self.freshness = meter.create_gauge(
            "lienthong.agreement.freshness",
            unit="s",
            description="Age of the newest event an agreement carried when it was admitted.",
        )


class _Current:
    """Where spans and measurements go now; nowhere until `use`."""

    start: StartSpan = staticmethod(trace.NoOpTracer().start_span)
    instruments: _Instruments = _Instruments(metrics.NoOpMeter(SCOPE))
    locality: str = ""
    silent: bool = True
    """Whether nothing is recorded: then spans are left out on the hot paths, unless a caller's context must go on."""


def setup(settings: Exporting, services: Sequence[str]) -> Telemetry:
    """Starts exporting if the settings name a collector. `services` run in this process. Shut down what it returns."""
    if not settings.otlp_endpoint:
        return use(trace.NoOpTracerProvider(), metrics.NoOpMeterProvider(), locality=settings.locality)
    described = Resource.create(
        {
            service.SERVICE_NAMESPACE: "lienthong",
            service.SERVICE_NAME: services[0] if len(services) == 1 else "node",
            service.SERVICE_INSTANCE_ID: settings.instance,
            LOCALITY: settings.locality,
        }
    )
    resource = _HashedOnce(described.attributes, described.schema_url)
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    spans = LightSpanExporter(endpoint=settings.otlp_endpoint, timeout=_EXPORT_TIMEOUT_S)
    tracers.add_span_processor(BatchSpanProcessor(spans, schedule_delay_millis=1000))
    measured = OTLPMetricExporter(endpoint=settings.otlp_endpoint, timeout=_EXPORT_TIMEOUT_S)
    meters = MeterProvider(
        [PeriodicExportingMetricReader(measured, export_interval_millis=10_000)],
        resource=resource,
        shutdown_on_exit=False,
    )
    return use(tracers, meters, locality=settings.locality)


def use(tracers: trace.TracerProvider, meters: metrics.MeterProvider, *, locality: str) -> Telemetry:
    """Sends spans and measurements to these providers from now on."""
    _Current.instruments.rpc_duration.flush()
    _Current.start = staticmethod(starting(tracers.get_tracer(SCOPE)))
    _Current.instruments = _Instruments(meters.get_meter(SCOPE))
    _Current.locality = locality
    _call_attributes.cache_clear()
    _Current.silent = isinstance(tracers, trace.NoOpTracerProvider) and isinstance(meters, metrics.NoOpMeterProvider)
    return Telemetry(tracers, meters)


class _HashedOnce(Resource):
    """The exporter looks up the resource of every span; the SDK's writes itself as JSON for its hash, each time."""

    @cached_property
    def _hash(self) -> int:
        return super().__hash__()

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)


class Telemetry:
    """What `setup` started."""

    def __init__(self, tracers: trace.TracerProvider, meters: metrics.MeterProvider) -> None:
        self._tracers = tracers
        self._meters = meters

    def shutdown(self) -> None:
        """Sends what is left, for a few seconds at most."""
        _Current.instruments.rpc_duration.flush()
        if isinstance(self._tracers, TracerProvider):
            self._tracers.shutdown()
        if isinstance(self._meters, MeterProvider):
            self._meters.shutdown(timeout_millis=_EXPORT_TIMEOUT_S * 1000)


# Trace context


def inject() -> tuple[str, str]:
    """`traceparent` and `tracestate` of the current span; empty where there is none."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return "", ""
    return _traceparent(context), context.trace_state.to_header()


def inject_into(carrier: MutableMapping[str, str]) -> None:
    """Sets the headers `traceparent` and `tracestate` to the current span; leaves them where there is none."""
    traceparent, tracestate = inject()
    if traceparent:
        carrier["traceparent"] = traceparent
        carrier.pop("tracestate", None)
        if tracestate:
            carrier["tracestate"] = tracestate


def context_from(traceparent: str, tracestate: str = "") -> Context:
    """Context in which the sender's span is the current one; empty for a malformed `traceparent`."""
    if not tracestate and (found := _PLAIN_PARENT.fullmatch(traceparent)):
        trace_id, span_id, flags = (int(part, 16) for part in found.groups())
        sender = trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(flags))
        return trace.set_span_in_context(trace.NonRecordingSpan(sender), _ROOT) if sender.is_valid else _ROOT
    carrier = {"traceparent": traceparent, "tracestate": tracestate} if traceparent else {}
    return _propagator.extract(carrier, Context())


def _traceparent(context: trace.SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 0xFF:02x}"


def _span_context(context: Context) -> trace.SpanContext:
    return trace.get_current_span(context).get_span_context()


# Spans


class Answering:
    """A call being answered: a context manager inside which its span is the current one."""

    __slots__ = ("_began", "_context", "_method", "_token", "code", "span")

    def __init__(self, method: str, parent: Context) -> None:
        self._method = method
        self.code = "OK"
        """gRPC status it is answered with."""
        self.span = _Current.start(method, parent, SpanKind.SERVER, _call_attributes(method))
        self._context = trace.set_span_in_context(self.span, parent)

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        self._token = attach(self._context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            answered(self, _code_of(error))
        self.span.set_attribute(rpc.RPC_RESPONSE_STATUS_CODE, self.code)
        seconds = time.perf_counter() - self._began
        _Current.instruments.rpc_duration.record(seconds, _answer_attributes(self._method, self.code), self._context)
        detach(self._token)
        self.span.end()


class _Unrecorded(Answering):
    """A call nobody traces."""

    __slots__ = ()

    def __init__(self) -> None:
        self.code = "OK"
        self.span = trace.INVALID_SPAN

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""


_UNRECORDED: Final = _Unrecorded()


def server_span(method: str, metadata: Mapping[str, str]) -> Answering:
    """Span of one call answered, current while it runs; `method` is `package.Service/Method`.

    A MeshError that leaves it sets the status; where the answer is an error that is not raised, use `answered`.
    """
    traceparent = metadata.get("traceparent")
    if traceparent:
        return Answering(method, context_from(traceparent, metadata.get("tracestate", "")))
    return _UNRECORDED if _Current.silent else Answering(method, _ROOT)


@cache
def _call_attributes(method: str) -> Mapping[str, str]:
    return {rpc.RPC_SYSTEM_NAME: "grpc", rpc.RPC_METHOD: method, LOCALITY: _Current.locality}


@cache
def _answer_attributes(method: str, code: str) -> Mapping[str, str]:
    return {rpc.RPC_SYSTEM_NAME: "grpc", rpc.RPC_METHOD: method, rpc.RPC_RESPONSE_STATUS_CODE: code}


def answered(answering: Answering, code: str) -> None:
    """Notes the gRPC status a call is answered with."""
    answering.code = code
    if code in _SERVER_FAULTS:
        _failed(answering.span, code)


def asked_under(agreement: str) -> None:
    """Notes on the current span the agreement another locality was asked under; empty where there is none."""
    if agreement:
        trace.get_current_span().set_attribute(AGREEMENT, agreement)


def _code_of(exc: BaseException) -> str:
    if isinstance(exc, MeshError):
        return exc.code.name
    # The caller went away; nothing failed here.
    return "CANCELLED" if isinstance(exc, asyncio.CancelledError | GeneratorExit) else "UNKNOWN"


@contextmanager
def client_span(method: str) -> Iterator[Span]:
    """Span of one call made, retries included; `method` is `package.Service/Method`."""
    with _span(method, SpanKind.CLIENT, _call_attributes(method)) as span:
        try:
            yield span
        except MeshError as exc:
            span.set_attribute(rpc.RPC_RESPONSE_STATUS_CODE, exc.code.name)
            _failed(span, exc.code.name)
            raise


@contextmanager
def commit_span(database: str) -> Iterator[Span]:
    """Span of one run's way through the group commit: waiting for its batch, and the transaction."""
    if _Current.silent:
        yield trace.INVALID_SPAN
        return
    attributes = {db.DB_SYSTEM_NAME: "mongodb", db.DB_NAMESPACE: database, db.DB_OPERATION_NAME: "commit"}
    with _span("commit", SpanKind.CLIENT, attributes) as span, _failing(span):
        yield span


@contextmanager
def publishing(stream: str, subject: str, headers: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Span of publishing one event, child of the one that emitted it.

    Yields a copy of the headers whose `traceparent` is that span: what reads the event is its child.
    """
    sent = dict(headers)
    if _Current.silent:
        # The relay publishes thousands of these per second.
        yield sent
        return
    parent = context_from(sent.get("traceparent", ""), sent.get("tracestate", ""))
    attributes = {
        **_messaging(subject, "publish", messaging.MessagingOperationTypeValues.SEND.value),
        messaging.MESSAGING_MESSAGE_ID: sent.get("ce-id", ""),
        STREAM: stream,
        LOCALITY: _Current.locality,
    }
    if agreement := sent.get("ce-agreement"):
        attributes[AGREEMENT] = agreement
    with _span(f"publish {_destination(subject)[0]}", SpanKind.PRODUCER, attributes, parent) as span, _failing(span):
        inject_into(sent)
        yield sent


@contextmanager
def consumer_span(event: Event, *, subscription: str, subject: str, line: str = "") -> Iterator[Span]:
    """Span of handling one event, current while it runs.

    Child of the span that published the event, so a journey is one trace, and linked to it, as the semantic
    conventions for messaging ask.
    """
    if _Current.silent and not event.traceparent:
        yield trace.INVALID_SPAN
        return
    parent = context_from(event.traceparent, event.tracestate)
    producer = _span_context(parent)
    attributes = {
        **_messaging(subject, "process", messaging.MessagingOperationTypeValues.PROCESS.value),
        messaging.MESSAGING_CONSUMER_GROUP_NAME: subscription,
        messaging.MESSAGING_MESSAGE_ID: event.id,
        messaging.MESSAGING_MESSAGE_CONVERSATION_ID: event.correlation_id,
        LOCALITY: _Current.locality,
        ORIGIN: event.origin,
        SECTOR: event.sector,
        TOPIC: _destination(subject)[0].rpartition(".")[2],
    }
    if line:
        attributes[LINE] = line
    if event.agreement:
        attributes[AGREEMENT] = event.agreement
    links = [Link(producer)] if producer.is_valid else []
    started = time.perf_counter()
    name = f"process {_destination(subject)[0]}"
    with _span(name, SpanKind.CONSUMER, attributes, parent, links) as span:
        measured: dict[str, str] = {messaging.MESSAGING_SYSTEM: "nats", SUBSCRIPTION: subscription}
        try:
            with _failing(span):
                yield span
        except BaseException as exc:
            measured[error.ERROR_TYPE] = _error_type(exc)
            raise
        finally:
            _Current.instruments.process_duration.record(time.perf_counter() - started, measured)


@contextmanager
def _span(
    name: str,
    kind: SpanKind,
    attributes: Mapping[str, str],
    parent: Context | None = None,
    links: Sequence[Link] = (),
) -> Iterator[Span]:
    span = _Current.start(name, parent, kind, attributes, links)
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        yield span


@contextmanager
def _failing(span: Span) -> Iterator[None]:
    """Notes on the span the class of what is raised; never its text."""
    try:
        yield
    except BaseException as exc:
        _failed(span, _error_type(exc))
        raise


def _failed(span: Span, error_type: str) -> None:
    span.set_attribute(error.ERROR_TYPE, error_type)
    span.set_status(Status(StatusCode.ERROR))


def _error_type(exc: BaseException) -> str:
    return exc.code.name if isinstance(exc, MeshError) else type(exc).__name__


def _messaging(subject: str, operation: str, operation_type: str) -> dict[str, str]:
    name, partition = _destination(subject)
    return {
        messaging.MESSAGING_SYSTEM: "nats",
        messaging.MESSAGING_OPERATION_NAME: operation,
        messaging.MESSAGING_OPERATION_TYPE: operation_type,
        messaging.MESSAGING_DESTINATION_NAME: name,
        messaging.MESSAGING_DESTINATION_PARTITION_ID: partition,
    }


def _destination(subject: str) -> tuple[str, str]:
    name, _, partition = subject.rpartition(".")
    return name, partition


# Measurements


def commit_observed(service_name: str, units: int, seconds: float) -> None:
    """One batch was committed."""
    attributes = {service.SERVICE_NAME: service_name, LOCALITY: _Current.locality}
    _Current.instruments.commit_units.record(units, attributes)
    _Current.instruments.commit_duration.record(seconds, attributes)


def effect_observed(subscription: str, origin: str, age_s: float) -> None:
    """The effect of an event of that age was committed."""
    attributes = {SUBSCRIPTION: subscription, ORIGIN: origin, LOCALITY: _Current.locality}
    _Current.instruments.event_age.record(max(age_s, 0.0), attributes)


def line_lag_observed(subscription: str, line: str, events: int) -> None:
    """That many events of a line are waiting."""
    _Current.instruments.line_lag.set(events, {SUBSCRIPTION: subscription, LINE: line, LOCALITY: _Current.locality})


def dead_letter_observed(subscription: str, topic: str) -> None:
    """A subscription gave up an event."""
    attributes = {SUBSCRIPTION: subscription, TOPIC: topic, LOCALITY: _Current.locality}
    _Current.instruments.dead_letters.add(1, attributes)


def relay_observed(stream: str, events: int, age_s: float) -> None:
    """That many events of a log are not in its stream yet, the oldest of that age."""
    attributes = {STREAM: stream, LOCALITY: _Current.locality}
    _Current.instruments.relay_lag.set(events, attributes)
    _Current.instruments.relay_age.set(max(age_s, 0.0), attributes)


def freshness_observed(agreement: str, age_s: float) -> None:
    """An event of that age was admitted under an agreement."""
    attributes = {AGREEMENT: agreement, LOCALITY: _Current.locality}
    _Current.instruments.freshness.set(max(age_s, 0.0), attributes)
