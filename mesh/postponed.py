"""Measurements of what happens thousands of times a second, handed over a batch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram

from mesh.sums import Sums

_BATCH: Final = 128
_LONGEST_S: Final = 0.5


class PostponedHistogram:
    """Records into a histogram a little later, many measurements in a row.

    The SDK runs through much code for each. Between two calls that code has left the processor's caches, and recording
    takes several times what it takes in a row. What is exported is the same, exemplars included.
    Used from one event loop; where none runs, nothing is postponed.
    """

    def __init__(self, histogram: Histogram) -> None:
        self._sums = Sums(histogram)
        self._waiting: list[tuple[float, Mapping[str, str], Context]] = []

    def record(self, amount: float, attributes: Mapping[str, str], context: Context) -> None:
        """Records soon: with the hundredth after it, or within half a second."""
        self._waiting.append((amount, attributes, context))
        if len(self._waiting) >= _BATCH:
            self.flush()
        elif len(self._waiting) == 1:
            self._flush_soon()

    def flush(self) -> None:
        """Records what waits."""
        waiting, self._waiting = self._waiting, []
        for measured in waiting:
            self._sums.record(*measured)

    def _flush_soon(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
        else:
            loop.call_later(_LONGEST_S, self.flush)
