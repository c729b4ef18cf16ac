"""A made-up city: stations that report every ten minutes, mild air, no alerts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from lienthong.environment.v1 import (
    Concentrations,
    Location,
    Reading,
    RegisterStationRequest,
    Station,
    StreamReadingsRequest,
)

ROWS = 300
"""Readings in a message, as `lienthong replay` sends them."""
STATIONS = 40
PER_HOUR = 6
_BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
_POLLUTANTS = ("pm25", "pm10", "no2", "o3", "so2", "co")


@dataclass(frozen=True)
class City:
    """Readings of some hours."""

    hours: int

    @property
    def readings(self) -> int:
        """How many there are."""
        return self.hours * PER_HOUR * STATIONS

    @property
    def closed_hours(self) -> int:
        """Hours that the readings close, over all stations: all but the last."""
        return (self.hours - 1) * STATIONS

    def registrations(self) -> list[bytes]:
        """Calls that make the stations known."""
        return [_registration(number) for number in range(STATIONS)]

    def batches(self) -> Iterator[bytes]:
        """Messages of a stream, serialized."""
        rows = self.rows()
        number = 0
        while batch := list(islice(rows, ROWS)):
            number += 1
            yield StreamReadingsRequest(request_id=f"batch-{number}", readings=batch).SerializeToString()

    def rows(self) -> Iterator[Reading]:
        """Readings in order of time."""
        for slot in range(self.hours * PER_HOUR):
            at = _BEGIN + timedelta(minutes=10 * slot)
            for station in range(STATIONS):
                yield _reading(station, slot, at)


def _registration(number: int) -> bytes:
    station = Station(id=f"station-{number}", name=f"Trạm {number}", location=Location(latitude=16.0, longitude=108.2))
    return RegisterStationRequest(request_id=f"station-{number}", station=station).SerializeToString()


def _reading(station: int, slot: int, at: datetime) -> Reading:
    values = {f"{p}_ug_m3": 10.0 + (slot * 7 + station * 3 + i) % 5 for i, p in enumerate(_POLLUTANTS)}
    reading = Reading(station_id=f"station-{station}", concentrations=Concentrations(**values))
    reading.temperature_c, reading.humidity_percent = 25.0, 80.0
    reading.observed_at.FromDatetime(at)
    return reading
