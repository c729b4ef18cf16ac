"""The example that someone writes in an evening."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from nameko.testing.services import worker_factory

from examples import subscriber
from lienthong.environment.v1 import AirQualityAlertRaised
from mesh.testing import MemoryStore


def test_it_counts_the_alerts_of_each_locality():
    store = MemoryStore()
    neighbour = worker_factory(subscriber.Neighbour, store=store)

    for origin in ("da-nang", "ha-noi", "da-nang"):
        neighbour.hear(AirQualityAlertRaised(station_id="hai-chau", index=120), SimpleNamespace(origin=origin))

    assert {heard.id: heard.alerts for heard in store.find(subscriber.Heard)} == {"da-nang": 2, "ha-noi": 1}


def test_it_has_at_most_twenty_lines_that_say_something():
    lines = Path(subscriber.__file__).read_text("utf-8").splitlines()

    assert sum(bool(line.strip()) for line in lines) <= 20
