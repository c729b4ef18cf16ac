"""Files of congestion: every row becomes a sample of its hour, of the place its province has become."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mesh import localities
from mesh.cli.congestion_file import COLUMNS, CONGESTION, CongestionRow
from mesh.cli.exits import UsageError
from mesh.cli.rows_file import RowsFile, Unreadable
from tests.skips import real_data

CELLS = {
    "observed_at": "2026-05-14T04:25:00Z",
    "province_code": "48",
    "congestion": "0.25",
    "samples": "94",
    "coverage": "1.0",
}


def row(**changed: str) -> CongestionRow:
    return CongestionRow(2, {**CELLS, **changed})


def test_a_row_is_a_sample_of_the_hour_it_was_observed_in() -> None:
    sample = row().message()

    assert sample.hour.ToJsonString() == "2026-05-14T04:00:00Z"
    assert (sample.congestion, sample.samples, sample.coverage) == (0.25, 94, 1.0)
    assert (row().locality, row().thing) == ("da-nang", "")


def test_a_former_code_stays_in_the_sample_and_goes_to_what_it_has_become() -> None:
    """Bình Dương is part of Hồ Chí Minh; 24 is Bắc Ninh today, whatever it was."""
    assert (row(province_code="74").locality, row(province_code="74").message().province_code) == ("ho-chi-minh", "74")
    assert row(province_code="24").locality == "bac-ninh"


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"observed_at": "noon"}, "observed_at"),
        ({"congestion": ""}, "congestion"),
        ({"congestion": "much"}, "congestion"),
        ({"samples": "3.5"}, "samples"),
        ({"samples": "1e12"}, "samples"),
    ],
)
def test_a_row_that_cannot_be_read_says_which_cell(changed: dict[str, str], complaint: str) -> None:
    with pytest.raises(Unreadable, match=complaint):
        row(**changed).message()


def test_a_file_of_readings_is_no_file_of_congestion(tmp_path: Path) -> None:
    file = tmp_path / "readings.csv"
    file.write_text("observed_at,province_code,pm25\n")

    with pytest.raises(UsageError, match="lacks the columns congestion, samples, coverage"):
        RowsFile(file, CONGESTION)


def test_every_row_of_a_real_week_is_a_sample_of_one_of_the_34() -> None:
    with RowsFile(real_data("traffic_congestion_2026-05.csv.gz"), CONGESTION) as file:
        samples = [(row.locality, row.message()) for row in file.rows()]

    assert {slug for slug, _ in samples} == {locality.slug for locality in localities.localities()}
    assert all(0 <= sample.congestion <= 1 for _, sample in samples)
    hours = Counter((slug, sample.hour.seconds) for slug, sample in samples)
    assert len(samples) > 5000
    assert max(hours.values()) <= 2
    assert set(COLUMNS) == set(CELLS)
