"""Files of air-quality readings: rows in, readings and stations out.

Columns: observed_at, province_code, ward_code, station_id, station_name, latitude, longitude, pm25, pm10, o3, no2, so2,
co (µg/m³), temperature (°C), humidity (%). An empty cell was not measured.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lienthong.environment.v1 import Location, Reading, Station
from mesh import localities
from mesh.cli.exits import UsageError

COLUMNS: Final = (
    *("observed_at", "province_code", "ward_code", "station_id", "station_name", "latitude", "longitude"),
    *("pm25", "pm10", "o3", "no2", "so2", "co", "temperature", "humidity"),
)
_POLLUTANTS: Final = ("pm25", "pm10", "o3", "no2", "so2", "co")
_LONGEST_ID: Final = 64
_COMMUNE_CODE: Final = re.compile(r"\d{5}", re.ASCII)


class Unreadable(Exception):
    """A row that is no reading; the message says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file."""

    number: int
    """Line in the file, from 2 behind the header."""
    cells: dict[str, str]

    @property
    def locality(self) -> str:
        """Slug of the province; empty when there is no such code."""
        try:
            return localities.of_code(self.cells["province_code"].zfill(2)).slug
        except KeyError:
            return ""

    @property
    def station_id(self) -> str:
        """Id the station is registered under: at most 64 characters, still unique and still readable."""
        given = self.cells["station_id"]
        if len(given) <= _LONGEST_ID:
            return given
        return f"{given[:51]}-{hashlib.sha256(given.encode()).hexdigest()[:12]}"

    def station(self) -> Station:
        """The station. Raises Unreadable."""
        code = self.cells["ward_code"]
        return Station(
            id=self.station_id,
            name=self.cells["station_name"],
            location=Location(latitude=self._required("latitude"), longitude=self._required("longitude")),
            commune_code=code if _COMMUNE_CODE.fullmatch(code) else "",
        )

    def reading(self) -> Reading:
        """The reading. Raises Unreadable."""
        reading = Reading(
            station_id=self.station_id,
            temperature_c=self._number("temperature"),
            humidity_percent=self._number("humidity"),
        )
        reading.concentrations.SetInParent()
        for name in _POLLUTANTS:
            value = self._number(name)
            if value is not None:
                setattr(reading.concentrations, f"{name}_ug_m3", value)
        try:
            reading.observed_at.FromJsonString(self.cells["observed_at"])
        except ValueError:
            raise Unreadable("observed_at: expected a time such as 2026-05-14T04:06:49Z") from None
        return reading

    def _required(self, column: str) -> float:
        value = self._number(column)
        if value is None:
            raise Unreadable(f"{column}: is required")
        return value

    def _number(self, column: str) -> float | None:
        text = self.cells[column].strip()
        try:
            return float(text) if text else None
        except ValueError:
            raise Unreadable(f"{column}: expected a number") from None


class ReadingsFile:
    """A CSV file, gzipped or not, read row by row."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError when it cannot be read as such a file."""
        self.path = path
        try:
            self._raw = path.open("rb")
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
        self.size = path.stat().st_size or 1
        packed = self._raw.peek(2)[:2] == b"\x1f\x8b"
        content = gzip.GzipFile(fileobj=self._raw) if packed else self._raw
        self._lines = csv.reader(io.TextIOWrapper(content, encoding="utf-8-sig", newline=""))
        self._header = self._read_header()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._raw.close()

    def rows(self) -> Iterator[Row]:
        """Yields every row; cells that are missing are empty. Raises UsageError where the file breaks off."""
        try:
            for number, cells in enumerate(self._lines, 2):
                if cells:
                    padded = cells + [""] * (len(self._header) - len(cells))
                    yield Row(number, dict(zip(self._header, padded, strict=False)))
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"{self.path}: breaks off: {error}") from error

    def progress(self) -> float:
        """How much of the file is read, 0 to 1."""
        return min(1.0, self._raw.tell() / self.size)

    def _read_header(self) -> list[str]:
        try:
            header = next(self._lines, [])
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"{self.path}: is no CSV file: {error}") from None
        missing = [column for column in COLUMNS if column not in header]
        if missing:
            raise UsageError(f"{self.path}: lacks the columns {', '.join(missing)}")
        return header
