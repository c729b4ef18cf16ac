"""Whole countries for journeys, whose every process tells one receiver of traces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.journeys.city import Country, running_country
from tests.journeys.otlp import TraceReceiver


@pytest.fixture
def receiver() -> Iterator[TraceReceiver]:
    with TraceReceiver() as receiver:
        yield receiver


@pytest.fixture
async def start(tmp_path: Path, receiver: TraceReceiver, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[object]:
    """Starts localities with bundled agreements: `await start("da-nang", "hue", agreements=["dn-hue-air-1"])`."""
    monkeypatch.setenv("LIENTHONG_OTLP_ENDPOINT", receiver.endpoint)
    async with AsyncExitStack() as running:

        async def start(*localities: str, agreements: tuple[str, ...] | list[str] = ()) -> Country:
            return await running.enter_async_context(running_country(localities, agreements, tmp_path / "data"))

        yield start
