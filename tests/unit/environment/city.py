"""One station, Hàng Đậu, and a short way to say what it measured when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from nameko.testing.services import worker_factory

from lienthong.environment.v1 import (
    AirQualityAlertLifted,
    AirQualityAlertRaised,
    AirQualityHourRecorded,
    CloseHoursRequest,
    Concentrations,
    Location,
    Reading,
    ReadingsOutcome,
    RecordReadingsRequest,
    RegisterStationRequest,
    Station,
)
from mesh.testing import ManualClock, MemoryStore, RecordingEmit
from services.environment.service import EnvironmentService
from services.environment.settings import EnvironmentSettings

STATION = "hang-dau"
MIDNIGHT = datetime(2026, 11, 9, tzinfo=UTC)
M = TypeVar("M")


def reading(at: float, pm25: float | None = 20.0, station: str = STATION, **others: float) -> Reading:
    """A reading at an hour after midnight, with µg/m³ as `co=300`."""
    values = {"pm25": pm25, **others}
    said = Reading(
        station_id=station,
        concentrations=Concentrations(**{f"{p}_ug_m3": value for p, value in values.items() if value is not None}),
    )
    said.observed_at.FromDatetime(MIDNIGHT + timedelta(hours=at))
    return said


def hours_of(start: int, values: Iterable[float]) -> list[Reading]:
    """A reading at the start of each hour."""
    return [reading(start + i, value) for i, value in enumerate(values)]


@dataclass
class City:
    """The service without I/O, and what it said."""

    service: Any
    emitted: RecordingEmit
    clock: ManualClock
    store: MemoryStore
    requests: int = field(default=0)

    def register(self, station: str = STATION) -> None:
        self.service.register_station(
            RegisterStationRequest(
                request_id=f"register {station}",
                station=Station(id=station, name="Hàng Đậu", location=Location(latitude=21.04, longitude=105.85)),
            )
        )

    def record(self, *readings: Reading) -> ReadingsOutcome:
        self.requests += 1
        request = RecordReadingsRequest(request_id=f"r{self.requests}", readings=readings)
        return self.service.record_readings(request).outcome

    def close(self) -> None:
        self.service.close_hours(CloseHoursRequest(request_id="close"))

    def said(self, kind: type[M]) -> list[M]:
        return [message for message in self.emitted.messages if isinstance(message, kind)]

    def recorded(self) -> list[tuple[int, int, int | None]]:
        """Hours as (hour after midnight, revision, index)."""
        return [
            (
                (said.hour.seconds - int(MIDNIGHT.timestamp())) // 3600,
                said.revision,
                said.index if said.HasField("index") else None,
            )
            for said in self.said(AirQualityHourRecorded)
        ]

    def alerts(self) -> list[tuple[str, float, int]]:
        """Alerts as (what, hours after midnight, band or reason)."""
        found = []
        for said in self.emitted.messages:
            if isinstance(said, AirQualityAlertRaised):
                found.append(("raised", _hours(said.raised_at.ToDatetime(UTC)), said.band))
            if isinstance(said, AirQualityAlertLifted):
                found.append(("lifted", _hours(said.lifted_at.ToDatetime(UTC)), said.reason))
        return found


def _hours(at: datetime) -> float:
    return (at - MIDNIGHT) / timedelta(hours=1)


def new_city(settings: EnvironmentSettings | None = None) -> City:
    """A city two weeks later, without stations: what is sent is a replay."""
    store, emitted, clock = MemoryStore(), RecordingEmit(), ManualClock(MIDNIGHT + timedelta(days=14))
    service = worker_factory(
        EnvironmentService,
        store=store,
        emit=emitted,
        clock=clock,
        here="da-nang",
        settings=settings or EnvironmentSettings(),
    )
    return City(service, emitted, clock, store)
