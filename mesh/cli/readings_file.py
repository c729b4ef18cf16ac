"""Files of air-quality readings: rows in, readings and stations out.

Columns: observed_at, province_code, ward_code, station_id, station_name, latitude, longitude, pm25, pm10, o3, no2, so2,
co (µg/m³), temperature (°C), humidity (%). An empty cell was not measured.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from lienthong.environment.v1 import Location, Reading, RegisterStationRequest, Station, StreamReadingsRequest
from mesh.cli.rows_file import Kind, Row

COLUMNS: Final = (
    *("observed_at", "province_code", "ward_code", "station_id", "station_name", "latitude", "longitude"),
    *("pm25", "pm10", "o3", "no2", "so2", "co", "temperature", "humidity"),
)
_POLLUTANTS: Final = ("pm25", "pm10", "o3", "no2", "so2", "co")
_LONGEST_ID: Final = 64
_COMMUNE_CODE: Final = re.compile(r"\d{5}", re.ASCII)


class ReadingRow(Row):
    """One reading of one station."""

    __slots__ = ()

    @property
    def thing(self) -> str:
        """Id the station is registered under: at most 64 characters, still unique and still readable."""
        given = self.cells["station_id"]
        if len(given) <= _LONGEST_ID:
            return given
        return f"{given[:51]}-{hashlib.sha256(given.encode()).hexdigest()[:12]}"

    def registration(self) -> RegisterStationRequest:
        """The station. Raises Unreadable."""
        code = self.cells["ward_code"]
        station = Station(
            id=self.thing,
            name=self.cells["station_name"],
            location=Location(latitude=self.required("latitude"), longitude=self.required("longitude")),
            commune_code=code if _COMMUNE_CODE.fullmatch(code) else "",
        )
        return RegisterStationRequest(station=station)

    def message(self) -> Reading:
        """The reading. Raises Unreadable."""
        reading = Reading(
            station_id=self.thing,
            observed_at=self.timestamp("observed_at"),
            temperature_c=self.measured("temperature"),
            humidity_percent=self.measured("humidity"),
        )
        reading.concentrations.SetInParent()
        for name in _POLLUTANTS:
            value = self.measured(name)
            if value is not None:
                setattr(reading.concentrations, f"{name}_ug_m3", value)
        return reading


READINGS: Final = Kind(
    columns=COLUMNS,
    row=ReadingRow,
    service="lienthong.environment.v1.EnvironmentService",
    stream="StreamReadings",
    request=lambda request_id, readings: StreamReadingsRequest(request_id=request_id, readings=readings),
    register="RegisterStation",
)
