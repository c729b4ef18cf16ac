"""The bundled week: the same each time, dirty as feeds are, and over before it ends."""

from __future__ import annotations

import csv
import gzip
from collections import Counter

import pytest

from examples import week
from lienthong.environment.v1 import AirQualityAlertLifted, AirQualityAlertRaised, Concentrations, Reading
from tests.unit.environment.city import City, new_city

LOCALITIES = {"01": "ha-noi", "22": "quang-ninh", "46": "hue", "48": "da-nang"}
BATCH = 500


def sent(province: str) -> list[Reading]:
    return [_reading(row) for row in ROWS if row["province_code"] == province]


def _reading(row: dict[str, str]) -> Reading:
    values = {f"{name}_ug_m3": float(row[name]) for name in ("pm25", "pm10", "o3", "no2", "so2", "co") if row[name]}
    said = Reading(station_id=row["station_id"], concentrations=Concentrations(**values))
    said.observed_at.FromJsonString(row["observed_at"])
    said.temperature_c, said.humidity_percent = float(row["temperature"]), float(row["humidity"])
    return said


def _replayed(province: str) -> tuple[City, Counter[str]]:
    city, counts = new_city(), Counter[str]()
    rows = sent(province)
    for station in {row.station_id for row in rows}:
        city.register(station)
    for start in range(0, len(rows), BATCH):
        outcome = city.record(*rows[start : start + BATCH])
        counts += Counter(accepted=outcome.accepted, duplicate=outcome.duplicate, flagged=outcome.flagged)
        counts["rejected"] += len(outcome.rejected)
    return city, counts


ROWS = list(csv.DictReader(gzip.decompress(week.FILE.read_bytes()).decode().splitlines()))


def test_the_bundled_file_is_what_the_generator_makes():
    assert list(week.rows()) == ROWS


@pytest.mark.parametrize("province", LOCALITIES)
def test_each_locality_has_an_episode_that_is_over_before_the_week_is(province: str):
    city, _ = _replayed(province)

    raised = {said.station_id for said in city.said(AirQualityAlertRaised)}
    ended = Counter(said.station_id for said in city.said(AirQualityAlertLifted))
    assert len(raised) >= 3
    assert set(ended) == raised
    assert city.alerts()[-1][0] == "lifted"


def test_the_week_is_dirty_in_every_way_the_sector_knows():
    """Late rows show as hours recorded twice."""
    city, counts = _replayed("48")

    assert all(counts[kind] for kind in ("accepted", "duplicate", "flagged", "rejected"))
    assert any(revision > 1 for _, revision, _ in city.recorded())
