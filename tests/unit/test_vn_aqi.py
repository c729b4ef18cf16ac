"""The Vietnamese air quality index, against the examples its decision prints and the laws it obeys."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.environment.vn_aqi import (
    PG_PER_UG,
    Index,
    Pollutant,
    band,
    daily_index,
    hourly_index,
    mean,
    nowcast,
    sub_index,
    to_pg_m3,
)

COLUMNS = ("pm25", "pm10", "o3_1h", "o3_8h", "no2", "so2", "co")
PRINTED_HOURS = (26.9, 24.7, 20.5, 23.5, 19.5, 16.5, 19.0, 16.5, 20.3, 22.4, 19.6, 20.6)

concentrations = st.integers(0, 5_000 * PG_PER_UG)
hours = st.lists(st.none() | concentrations, min_size=1, max_size=12)


def this_hour_first(*values: float | None) -> list[int | None]:
    return [None if v is None else to_pg_m3(v) for v in values]


def in_ug(value: Fraction | None) -> float:
    assert value is not None
    return float(value / PG_PER_UG)


def test_nowcast_of_the_printed_example():
    """Example 1: w* = 16.5 / 26.9 = 0.61; the decision prints 20.3."""
    found = nowcast(this_hour_first(*reversed(PRINTED_HOURS)))

    assert in_ug(found) == pytest.approx(20.27, abs=0.005)


@pytest.mark.parametrize(
    ("column", "ug_m3", "index"),
    [
        ("o3_1h", 136.1, 43),
        ("pm25", 20.3, 41),
        ("no2", 118.7, 59),  # the decision prints 60; its formula gives 59.35
        ("o3_8h", 89.3, 45),
        ("o3_1h", 114.6, 36),
        ("no2", 130.8, 65),
        ("pm25", 55.7, 110),  # 109.5, half up
    ],
)
def test_sub_indexes_of_the_printed_examples(column: str, ug_m3: float, index: int):
    """Examples 2 and 3."""
    assert sub_index(column, to_pg_m3(ug_m3)) == index


def test_hourly_index_of_the_printed_example():
    """Example 2 as a whole: NO2 decides, and PM2.5 comes from example 1 by NowCast."""
    hours = [{Pollutant.PM25: c} for c in this_hour_first(*reversed(PRINTED_HOURS))]
    hours[0] |= {Pollutant.O3: to_pg_m3(136.1), Pollutant.NO2: to_pg_m3(118.7)}

    assert hourly_index(hours) == Index(59, Pollutant.NO2)


def test_daily_index_of_the_printed_example():
    """Example 3 as a whole: PM2.5 decides with 110."""
    quiet = {Pollutant.PM25: to_pg_m3(55.7), Pollutant.O3: to_pg_m3(89.3), Pollutant.NO2: to_pg_m3(80)}
    day = [quiet] * 24
    day[3] = quiet | {Pollutant.NO2: to_pg_m3(130.8)}

    assert daily_index(day) == Index(110, Pollutant.PM25)


def test_nowcast_in_unsteady_air_is_as_printed_when_no_hour_is_missing():
    """w* = 1/10 counts as 1/2, and the weights add up to 4095/4096."""
    found = nowcast(this_hour_first(100, *[10] * 11))

    assert found == Fraction(to_pg_m3(100) * 2**11 + sum(to_pg_m3(10) * 2**i for i in range(11)), 2**12)


def test_nowcast_in_unsteady_air_is_normalised_when_hours_are_missing():
    found = nowcast(this_hour_first(40, 10))

    assert in_ug(found) == pytest.approx((40 / 2 + 10 / 4) / (1 / 2 + 1 / 4))


def test_a_missing_hour_weighs_nothing_but_keeps_its_place():
    found = nowcast(this_hour_first(10, None, 8))

    w = 0.8
    assert in_ug(found) == pytest.approx((10 + 8 * w**2) / (1 + w**2))


@pytest.mark.parametrize("gone", [(1.0, None, None, 5.0), (None, None, 1.0), (None, 2.0, None)])
def test_nowcast_needs_two_of_the_latest_three_hours(gone: tuple[float | None, ...]):
    assert nowcast(this_hour_first(*gone)) is None


def test_air_without_particles_at_all_has_nowcast_nought():
    """w* would be 0/0."""
    assert nowcast([0, 0, 0]) == 0


def test_there_is_no_index_without_particles():
    assert hourly_index([{Pollutant.O3: to_pg_m3(500)}] * 12) is None
    assert daily_index([{Pollutant.O3: to_pg_m3(500)}] * 24) is None


def test_of_two_equal_sub_indexes_the_first_pollutant_names_the_index():
    means = {Pollutant.CO: to_pg_m3(10_000), Pollutant.PM10: to_pg_m3(50)}

    assert hourly_index([means] * 2) == Index(50, Pollutant.PM10)


def test_beyond_the_end_of_the_table_the_index_is_500():
    assert sub_index("pm25", to_pg_m3(500)) == 500
    assert sub_index("pm25", to_pg_m3(1_000)) == 500


def test_eight_hours_of_ozone_count_also_when_they_began_the_day_before():
    ozone = {Pollutant.PM25: 0, Pollutant.O3: to_pg_m3(170)}
    clean = {Pollutant.PM25: 0, Pollutant.O3: 0}

    assert daily_index([ozone] * 2 + [clean] * 22) == Index(63, Pollutant.O3)
    assert daily_index([ozone] * 2 + [clean] * 22, before=[ozone] * 7) == Index(150, Pollutant.O3)


def test_eight_hours_of_ozone_above_400_are_left_to_the_hourly_column():
    ozone = {Pollutant.PM25: 0, Pollutant.O3: to_pg_m3(401)}

    assert daily_index([ozone] * 24) == Index(200, Pollutant.O3)


def test_eight_hours_of_ozone_need_six():
    ozone = {Pollutant.PM25: 0, Pollutant.O3: to_pg_m3(120)}

    assert daily_index([ozone] * 5 + [{}] * 19) == Index(38, Pollutant.O3)
    assert daily_index([ozone] * 6 + [{}] * 18) == Index(100, Pollutant.O3)


@pytest.mark.parametrize(
    ("index", "number"),
    [(0, 1), (50, 1), (51, 2), (100, 2), (101, 3), (150, 3), (151, 4), (201, 5), (301, 6), (500, 6)],
)
def test_bands_begin_one_above_the_band_before(index: int, number: int):
    assert band(index) == number


def test_a_mean_is_rounded_half_up():
    assert mean(3, 2) == 2
    assert mean(4, 3) == 1


@given(st.sampled_from(COLUMNS), concentrations, concentrations)
def test_more_of_a_pollutant_never_lowers_its_index(column: str, one: int, other: int):
    low, high = sorted((one, other))

    assert sub_index(column, low) <= sub_index(column, high)


@given(st.sampled_from(COLUMNS), concentrations | st.fractions(0, 5_000 * PG_PER_UG))
def test_an_index_lies_between_0_and_500(column: str, concentration: int | Fraction):
    assert 0 <= sub_index(column, concentration) <= 500


@given(hours)
def test_nowcast_lies_between_the_least_and_the_greatest_hour(means: list[int | None]):
    found = nowcast(means)

    if found is not None:
        present = [c for c in means if c is not None]
        assert min(present) <= found <= max(present)


@given(st.integers(1, 10**9), st.integers(2, 12))
def test_nowcast_of_steady_air_is_that_air(concentration: int, count: int):
    assert nowcast([concentration] * count) == concentration
