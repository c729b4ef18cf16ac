"""Spans of the SDK, made for less (ADR-0026).

The SDK prepares every span for anything that may happen to one: bounded lists for events and links, locks, attributes
that are cleaned and counted, a copy when it ends. Ours have a few attributes of text and no events. So a span is made
with what it has, and prepared like any other of the SDK when somebody asks for more of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final, Protocol

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Tracer, sampling
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace._tracer_metrics import NoOpTracerMetrics
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags, get_current_span
from opentelemetry.trace import Tracer as AnyTracer

_MOST_ATTRIBUTES: Final = 32
"""Of a light span; the SDK takes 128 before it drops the oldest."""
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_SAMPLED_BY_CHANCE: Final = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)
_preparing: Final = threading.Lock()


class StartSpan(Protocol):
    """How a span is started; a tracer's `start_span` is one."""

    def __call__(
        self,
        name: str,
        context: Context | None,
        kind: SpanKind,
        attributes: Mapping[str, str],
        links: Sequence[Link] = (),
    ) -> Span: ...


def starting(tracer: AnyTracer) -> StartSpan:
    """Returns what starts the spans of a tracer: as light spans where the tracer is as the SDK makes it by default."""
    if isinstance(tracer, Tracer) and _by_default(tracer):
        return _LightTracer(tracer).start
    return tracer.start_span


def _by_default(tracer: Tracer) -> bool:
    """Whether the environment asks for no other sampler, shorter attributes or figures on the SDK itself."""
    limits = tracer._span_limits
    return (
        tracer.sampler is sampling.DEFAULT_ON
        and isinstance(tracer._tracer_metrics, NoOpTracerMetrics)
        and limits.max_span_attribute_length is None
        and (limits.max_span_attributes is None or limits.max_span_attributes >= _MOST_ATTRIBUTES)
    )


class _LightTracer:
    """Starts light spans with what a tracer gives all of its spans."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._new_trace_id = tracer.id_generator.generate_trace_id
        self._new_span_id = tracer.id_generator.generate_span_id
        self._root_flags = _SAMPLED_BY_CHANCE if tracer.id_generator.is_trace_id_random() else _SAMPLED

    def start(
        self,
        name: str,
        context: Context | None,
        kind: SpanKind,
        attributes: Mapping[str, str],
        links: Sequence[Link] = (),
    ) -> Span:
        """Starts a span, child of the one that is current in `context`, or in the present one."""
        tracer = self._tracer
        if links or not tracer._is_enabled():
            return tracer.start_span(name, context, kind, attributes, links)
        parent = get_current_span(context).get_span_context()
        if not parent.is_valid:
            made = SpanContext(self._new_trace_id(), self._new_span_id(), False, self._root_flags)
            span = LightSpan(tracer, name, made, None, kind, attributes)
        elif not parent.trace_flags & TraceFlags.SAMPLED:
            return tracer.start_span(name, context, kind, attributes)
        else:
            flags = _SAMPLED_BY_CHANCE if parent.trace_flags & TraceFlags.RANDOM_TRACE_ID else _SAMPLED
            made = SpanContext(parent.trace_id, self._new_span_id(), False, flags, parent.trace_state)
            span = LightSpan(tracer, name, made, parent, kind, attributes)
        tracer.span_processor.on_start(span, parent_context=context)
        return span


class LightSpan(SdkSpan):
    """A span that is prepared for what may come to it only when it comes."""

    _attributes: Any
    _context: SpanContext
    _end_time: int | None = None
    _events: Any = ()
    _instrumentation_info = None
    _light = True
    _links: Any = ()
    _lock: Any = threading.Lock()
    """Of all light spans, until one gets its own."""
    _record_end_metrics = None
    _record_exception = _set_status_on_exception = True
    _status = Status(StatusCode.UNSET)

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Mapping[str, str],
    ) -> None:
        self._name = name
        self._context = context
        self._parent = parent
        self._kind = kind
        self._attributes = dict(attributes)
        self._resource = tracer.resource
        self._instrumentation_scope = tracer._instrumentation_scope
        self._limits = tracer._span_limits
        self._span_processor = tracer.span_processor
        self._start_time = time.time_ns()

    def shape(self) -> Hashable | None:
        """What it shares with others; ``None`` where it has more to tell than attributes, ids and times."""
        if not self._light or self._context.trace_state:
            return None
        remote = self._parent is not None and self._parent.is_remote
        return remote, self._name, self._kind, self._status.status_code, *self._attributes.items()

    def set_attribute(self, key: str, value: Any) -> None:
        """Sets one attribute."""
        attributes = self._attributes
        if self._light and type(value) is str and self._end_time is None and len(attributes) < _MOST_ATTRIBUTES:
            attributes[key] = value
        else:
            self._prepare()
            super().set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Sets attributes."""
        self._prepare()
        super().set_attributes(attributes)

    def end(self, end_time: int | None = None) -> None:
        """Ends it and hands it over to be exported."""
        if not self._light or self._end_time is not None:
            super().end(end_time)
            return
        self._end_time = time.time_ns() if end_time is None else end_time
        self._span_processor._on_ending(self)
        self._span_processor.on_end(self)

    def _add_event(self, event: Any) -> None:
        self._prepare()
        super()._add_event(event)

    def _add_link(self, link: Link) -> None:
        self._prepare()
        super()._add_link(link)

    def _readable_span(self) -> ReadableSpan:
        return self if self._light else super()._readable_span()

    def _prepare(self) -> None:
        """Makes it what the SDK would have made at once."""
        with _preparing:
            if not self._light:
                return
            self._attributes = BoundedAttributes(self._limits.max_span_attributes, self._attributes, immutable=False)
            self._events = BoundedList(self._limits.max_events)
            self._links = BoundedList(self._limits.max_links)
            self._lock = threading.Lock()
            self._light = False
