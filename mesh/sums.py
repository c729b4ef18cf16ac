"""Measurements added straight to where the SDK adds them up (ADR-0026).

The SDK cleans and hashes the attributes of each measurement to find its sum: two thirds of what recording one costs.
Ours come with one of a few sets of attributes, so the sum of each set is looked for once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import Histogram as SdkHistogram
from opentelemetry.sdk.metrics._internal._view_instrument_match import _hash_attributes
from opentelemetry.sdk.metrics._internal.measurement_consumer import SynchronousMeasurementConsumer

_MOST_SETS: Final = 1000


class _Measured(NamedTuple):
    """What a sum asks of a measurement."""

    value: float
    time_unix_nano: int
    attributes: Mapping[str, str]
    context: Context


class _Known(NamedTuple):
    """Where measurements with some attributes go."""

    attributes: Mapping[str, str]
    readers: Mapping[Any, Any]
    """The SDK's readers when it was looked for; it replaces them when there are others."""
    sums: list[Any]
    """One for each reader and view."""


class Sums:
    """What one histogram adds up."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._consumer: Any = getattr(histogram, "_measurement_consumer", None)
        self._direct = isinstance(histogram, SdkHistogram) and isinstance(
            self._consumer, SynchronousMeasurementConsumer
        )
        self._known: dict[int, _Known] = {}
        """By the identity of their attributes, which are kept, so that no others get it."""

    def record(self, seconds: float, attributes: Mapping[str, str], context: Context) -> None:
        """Records a duration; nobody ever changes `attributes`."""
        known = self._known.get(id(attributes))
        if known is None or known.readers is not self._consumer._reader_storages:
            self._histogram.record(seconds, attributes, context)
            if self._direct:
                self._look_for(attributes)
            return
        measured = _Measured(seconds, time.time_ns(), known.attributes, context)
        as_exemplar = self._consumer._sdk_config.exemplar_filter.should_sample(*measured)
        for one in known.sums:
            one.aggregate(measured, as_exemplar)

    def _look_for(self, attributes: Mapping[str, str]) -> None:
        """Notes where the SDK has just recorded, unless that changes with every collection."""
        readers = self._consumer._reader_storages
        matches = [
            match
            for storage in readers.values()
            for match in storage._get_or_init_view_instrument_match(self._histogram)
        ]
        if any(match._reset_on_collect or match._view._attribute_keys is not None for match in matches):
            self._direct = False
            return
        key = _hash_attributes(dict(attributes))
        if len(self._known) >= _MOST_SETS:
            self._known.clear()
        sums = [match._attributes_aggregation.get(key) for match in matches]
        if None not in sums:
            self._known[id(attributes)] = _Known(attributes, readers, sums)
