"""Files of readings are taken as they come: gzipped or not, dirty, with ids too long for a key."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from mesh.cli.exits import UsageError
from mesh.cli.readings_file import COLUMNS, READINGS, ReadingRow
from mesh.cli.rows_file import RowsFile, Unreadable

CELLS = {
    "observed_at": "2026-05-14T11:06:49+07:00",
    "province_code": "48",
    "ward_code": "20836",
    "station_id": "hai-chau",
    "station_name": "Hải Châu",
    "latitude": "16.05",
    "longitude": "108.2",
    "pm25": "10.5",
    "pm10": "32",
    "o3": "",
    "no2": "",
    "so2": "",
    "co": "",
    "temperature": "34.1",
    "humidity": "",
}


def row(**changed: str) -> ReadingRow:
    return ReadingRow(2, {**CELLS, **changed})


def test_a_row_is_a_reading_of_a_station() -> None:
    """Times become UTC; an empty cell was not measured, which is not zero."""
    reading, station = row().message(), row().registration().station

    assert reading.observed_at.ToJsonString() == "2026-05-14T04:06:49Z"
    assert reading.concentrations.pm25_ug_m3 == 10.5
    assert not reading.concentrations.HasField("o3_ug_m3")
    assert not reading.HasField("humidity_percent")
    assert (station.id, station.name, station.commune_code) == ("hai-chau", "Hải Châu", "20836")
    assert row().locality == "da-nang"


def test_a_reading_without_any_value_is_still_one() -> None:
    """Whether it is worth keeping is the service's to judge."""
    assert row(pm25="", pm10="").message().HasField("concentrations")


def test_a_province_code_may_have_lost_its_zero() -> None:
    """Spreadsheets do that."""
    assert row(province_code="1").locality == row(province_code="01").locality == "ha-noi"
    assert row(province_code="99").locality == ""


def test_a_long_station_id_keeps_its_beginning_and_stays_unique() -> None:
    """64 characters at most: 51 of it, a hyphen, 12 of its digest."""
    long, other = "x" * 60 + "-first", "x" * 60 + "-second"

    ids = {row(station_id=long).thing, row(station_id=other).thing}

    assert len(ids) == 2
    assert all(len(id) == 64 and id.startswith("x" * 51 + "-") for id in ids)
    assert row(station_id="y" * 64).thing == "y" * 64


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"observed_at": "yesterday"}, "observed_at"),
        ({"observed_at": "2026-05-14T04:06:49"}, "observed_at"),
        ({"pm25": "much"}, "pm25"),
        ({"humidity": "n/a"}, "humidity"),
    ],
)
def test_a_row_that_cannot_be_read_says_which_cell(changed: dict[str, str], complaint: str) -> None:
    """It goes to the file of rejected rows under that reason."""
    with pytest.raises(Unreadable, match=complaint):
        row(**changed).message()


def test_a_station_needs_a_place() -> None:
    """It cannot be registered without."""
    with pytest.raises(Unreadable, match="latitude"):
        row(latitude="").registration()


@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
def test_files_are_read_gzipped_or_not(tmp_path: Path, packed: bool) -> None:
    """Told by their first bytes, not by their name."""
    text = f"{','.join(COLUMNS)}\n{','.join(CELLS[name] for name in COLUMNS)}\n\n".encode()
    path = tmp_path / "readings"
    path.write_bytes(gzip.compress(text) if packed else text)

    with RowsFile(path, READINGS) as file:
        [only] = file.rows()
        assert (only.number, only.cells["station_name"]) == (2, "Hải Châu")
        assert file.progress() == 1.0


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"a,b\n1,2\n", "lacks the columns"), (b"", "lacks the columns"), (b"\x1f\x8b\x00\x00", "CSV"), (None, "No such")],
    ids=["other columns", "empty", "broken gzip", "absent"],
)
def test_a_file_that_holds_no_readings_is_refused(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    """Before anything is started for it."""
    path = tmp_path / "readings.csv"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(UsageError, match=complaint):
        RowsFile(path, READINGS)
