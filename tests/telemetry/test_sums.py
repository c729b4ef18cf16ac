"""What is added straight to the SDK's sums comes out as if the SDK had recorded it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, NoOpHistogram
from opentelemetry.sdk.metrics import Histogram as SdkHistogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

from mesh.sums import Sums

SETS = [{"rpc.method": "a"}, {"rpc.method": "b"}, {"rpc.method": "a", "error.type": "INTERNAL"}]
SAMPLED = trace.set_span_in_context(
    trace.NonRecordingSpan(trace.SpanContext(7, 9, is_remote=False, trace_flags=trace.TraceFlags(1))), Context()
)
Measured = tuple[float, dict[str, str], Context]
measured = st.tuples(st.floats(0, 20), st.sampled_from(SETS), st.sampled_from([Context(), SAMPLED]))


class Metered:
    """A histogram and what its reader finds."""

    def __init__(self, temporality: AggregationTemporality) -> None:
        self._reader = InMemoryMetricReader(preferred_temporality={SdkHistogram: temporality})
        self.provider = MeterProvider([self._reader])
        self.histogram: Histogram = self.provider.get_meter("lienthong.mesh").create_histogram("seconds")

    def found(self) -> list[Any]:
        """Points without what depends on the clock."""
        data = self._reader.get_metrics_data()
        if data is None:
            return []
        points = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
        return [_without_times(point) for point in points]


def _without_times(point: Any) -> Any:
    exemplars = [(one.value, one.span_id, one.trace_id, one.filtered_attributes) for one in point.exemplars]
    return point.attributes, point.count, point.sum, point.min, point.max, point.bucket_counts, exemplars


@pytest.mark.parametrize("temporality", [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA])
@settings(deadline=None)
@given(before=st.lists(measured), after=st.lists(measured))
def test_it_adds_up_what_the_sdk_would(
    temporality: AggregationTemporality, before: list[Measured], after: list[Measured]
) -> None:
    """Also across a collection, after which sums may begin anew."""
    ours, theirs = Metered(temporality), Metered(temporality)
    sums = Sums(ours.histogram)
    for batch in (before, after):
        for one in batch:
            sums.record(*one)
            theirs.histogram.record(*one)

        assert ours.found() == theirs.found()


def test_a_reader_that_comes_later_gets_what_comes_later() -> None:
    metered, late = Metered(AggregationTemporality.CUMULATIVE), InMemoryMetricReader()
    sums = Sums(metered.histogram)
    for _ in range(2):
        sums.record(1.0, SETS[0], Context())
    metered.provider.add_metric_reader(late)

    for _ in range(3):
        sums.record(1.0, SETS[0], Context())

    [metric] = late.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics  # type: ignore[union-attr]
    assert metric.data.data_points[0].count == 3
    assert metered.found()[0][1] == 5


def test_where_nothing_is_measured_nothing_is_looked_for() -> None:
    sums = Sums(NoOpHistogram("seconds"))

    sums.record(1.0, SETS[0], Context())
    sums.record(1.0, SETS[0], Context())
