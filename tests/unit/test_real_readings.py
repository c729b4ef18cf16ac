"""The handlers, given a real week, come to what an independent script computes from the file."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from nameko.testing.services import worker_factory

from lienthong.environment.v1 import (
    AirQualityAlertLifted,
    AirQualityAlertRaised,
    AirQualityHourRecorded,
    CloseHoursRequest,
    Concentrations,
    Location,
    Reading,
    RecordReadingsRequest,
    RegisterStationRequest,
    Station,
)
from mesh.testing import ManualClock, MemoryStore, RecordingEmit
from services.environment.service import EnvironmentService
from services.environment.settings import EnvironmentSettings
from tests.journeys import expectation
from tests.skips import real_data

ALERT_INDEX = 50  # the real week has no index over 100 in these localities


@pytest.fixture(scope="module")
def file() -> Path:
    """A week of readings as they were observed."""
    return real_data("air_quality_2026-05.csv.gz")


@pytest.fixture(scope="module")
def expected(file: Path) -> dict[str, expectation.Expected]:
    """What the independent script says of each locality."""
    return expectation.expect(file, ALERT_INDEX)


@pytest.mark.parametrize("batch", [1, 100])
@pytest.mark.parametrize("slug", ["da-nang", "hue"])
def test_handlers_agree_with_the_independent_script(
    file: Path, expected: dict[str, expectation.Expected], slug: str, batch: int
) -> None:
    """Readings, hours, indexes, alerts: all equal, however the rows are grouped into calls."""
    service, emitted = replay(file, slug, batch)

    outcome = service.outcome
    here = expected[slug]
    assert outcome == Counter(accepted=here.accepted, duplicate=here.duplicate, flagged=here.flagged)
    assert hours(emitted) == here.hours
    assert alerts(emitted, AirQualityAlertRaised) == +here.raised
    assert alerts(emitted, AirQualityAlertLifted) == +here.lifted


class Replayed:
    """A service with no I/O, and the sum of what it answered."""

    def __init__(self) -> None:
        self.emit = RecordingEmit()
        self.worker = worker_factory(
            EnvironmentService,
            store=MemoryStore(),
            emit=self.emit,
            clock=ManualClock(datetime(2026, 6, 1, tzinfo=UTC)),
            settings=EnvironmentSettings(alert_index=ALERT_INDEX),
        )
        self.outcome: Counter[str] = Counter()

    def record(self, readings: list[Reading]) -> None:
        """Records one call's readings."""
        outcome = self.worker.record_readings(RecordReadingsRequest(request_id="r", readings=readings)).outcome
        self.outcome += Counter(accepted=outcome.accepted, duplicate=outcome.duplicate, flagged=outcome.flagged)


def replay(file: Path, slug: str, batch: int) -> tuple[Replayed, RecordingEmit]:
    """Feeds the rows of one locality to the handlers, `batch` to a call, and closes what is open."""
    service = Replayed()
    pending: list[Reading] = []
    known = set()
    for row in expectation.read_rows(file):
        if expectation.PROVINCES.get(row["province_code"]) != slug:
            continue
        reading = as_reading(row)
        if reading.station_id not in known:
            known.add(reading.station_id)
            service.worker.register_station(RegisterStationRequest(request_id="s", station=as_station(row)))
        pending.append(reading)
        if len(pending) == batch:
            service.record(pending)
            pending = []
    if pending:
        service.record(pending)
    while service.worker.close_hours(CloseHoursRequest(request_id="c")).remaining:
        pass
    return service, service.emit


def as_station(row: dict[str, str]) -> Station:
    """The station a row speaks of."""
    place = Location(latitude=float(row["latitude"]), longitude=float(row["longitude"]))
    return Station(id=expectation.station_id(row["station_id"]), name=row["station_name"], location=place)


def as_reading(row: dict[str, str]) -> Reading:
    """The reading a row holds."""
    values: dict[str, Any] = {f"{name}_ug_m3": float(row[name]) for name in expectation.POLLUTANTS if row[name]}
    reading = Reading(station_id=expectation.station_id(row["station_id"]), concentrations=Concentrations(**values))
    reading.observed_at.FromJsonString(row["observed_at"])
    return reading


def hours(emitted: RecordingEmit) -> dict[str, dict[str, int | None]]:
    """Index of each recorded hour, by station."""
    found: dict[str, dict[str, int | None]] = defaultdict(dict)
    for event in emitted.of(AirQualityHourRecorded):
        index = event.index if event.HasField("index") else None
        found[event.station_id][event.hour.ToJsonString()] = index
    return found


def alerts(emitted: RecordingEmit, kind: type) -> Counter[str]:
    """Number of events of one type, by station."""
    return Counter(event.station_id for event in emitted.of(kind))
