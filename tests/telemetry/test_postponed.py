"""Measurements that are postponed are all recorded, before long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpHistogram

from mesh.postponed import PostponedHistogram


class Kept(NoOpHistogram):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__("kept")
        self.amounts: list[float] = []

    def record(self, amount: float, *_: Any) -> None:
        self.amounts.append(amount)


def record(histogram: PostponedHistogram, *amounts: float) -> None:
    for amount in amounts:
        histogram.record(amount, {"rpc.method": "a"}, Context())


def test_without_a_loop_nothing_is_postponed() -> None:
    kept = Kept()

    record(PostponedHistogram(kept), 1.0, 2.0)

    assert kept.amounts == [1.0, 2.0]


async def test_many_are_recorded_in_order_and_none_twice() -> None:
    kept = Kept()
    histogram = PostponedHistogram(kept)
    amounts = [float(number) for number in range(1000)]

    record(histogram, *amounts)
    histogram.flush()

    assert kept.amounts == amounts


async def test_few_are_recorded_before_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.postponed._LONGEST_S", 0.01)
    kept = Kept()
    histogram = PostponedHistogram(kept)

    record(histogram, 1.0, 2.0)
    assert kept.amounts == []

    async with asyncio.timeout(10):
        while kept.amounts != [1.0, 2.0]:
            await asyncio.sleep(0)


async def test_what_comes_after_a_flush_is_recorded_before_long_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.postponed._LONGEST_S", 0.01)
    kept = Kept()
    histogram = PostponedHistogram(kept)
    record(histogram, 1.0)
    histogram.flush()

    record(histogram, 2.0)

    async with asyncio.timeout(10):
        while kept.amounts != [1.0, 2.0]:
            await asyncio.sleep(0)
