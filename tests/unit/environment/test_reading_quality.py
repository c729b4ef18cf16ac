"""Which readings are flagged, one flag after the other."""

from __future__ import annotations

import math

import pytest

from services.environment.reading_quality import Flag, Sound, judge
from services.environment.vn_aqi import Pollutant, to_pg_m3

PM25, CO, O3 = Pollutant.PM25, Pollutant.CO, Pollutant.O3
NOW_MS = 1_000_000_000
HOUR_MS = 3_600_000


def sound(at_ms: int, **ug_m3: float) -> Sound:
    return Sound(at_ms, {p: to_pg_m3(value) for p, value in ug_m3.items()})


def test_a_plausible_reading_enters_the_means_whole():
    verdict = judge({PM25: 20.0, CO: 300.0}, NOW_MS, None, None)

    assert verdict.flags == ()
    assert verdict.values == {PM25: 20_000_000, CO: 300_000_000}


@pytest.mark.parametrize("value", [-0.1, 1000.1, math.nan, math.inf])
def test_a_value_no_air_has_keeps_the_whole_reading_out(value: float):
    verdict = judge({PM25: value, CO: 300.0}, NOW_MS, None, None)

    assert verdict.flags == (Flag.RANGE,)
    assert verdict.values == {}


def test_the_ends_of_the_range_belong_to_it():
    assert judge({PM25: 0.0}, NOW_MS, None, None).flags == ()
    assert judge({PM25: 1000.0}, NOW_MS, None, None).flags == ()


def test_a_value_of_another_scale_stays_out_alone():
    """Feeds mix the scale of CO while their particles are sound."""
    verdict = judge({PM25: 20.0, CO: 48.09}, NOW_MS, None, None)

    assert verdict.flags == (Flag.UNIT_SCALE,)
    assert verdict.values == {PM25: 20_000_000}
    assert verdict.is_sound


def test_nought_is_nought_in_every_unit():
    assert judge({CO: 0.0}, NOW_MS, None, None).flags == ()


def test_a_reading_seconds_after_another_is_a_repeat():
    assert judge({PM25: 20.0}, NOW_MS, NOW_MS - 29_999, None).flags == (Flag.REPEAT,)
    assert judge({PM25: 20.0}, NOW_MS, NOW_MS - 30_000, None).flags == ()


def test_a_reading_seconds_before_one_that_came_first_is_a_repeat_too():
    assert judge({PM25: 20.0}, NOW_MS, NOW_MS + 2_000, None).flags == (Flag.REPEAT,)


def test_a_step_no_air_takes_is_a_jump():
    before = sound(NOW_MS - HOUR_MS, pm25=20.0)

    assert judge({PM25: 170.0}, NOW_MS, None, before).flags == ()
    assert judge({PM25: 170.1}, NOW_MS, None, before).flags == (Flag.JUMP,)


def test_a_jump_is_forgotten_after_two_hours():
    assert judge({PM25: 400.0}, NOW_MS, None, sound(NOW_MS - 2 * HOUR_MS, pm25=20.0)).flags == (Flag.JUMP,)
    assert judge({PM25: 400.0}, NOW_MS, None, sound(NOW_MS - 2 * HOUR_MS - 1, pm25=20.0)).flags == ()


def test_only_pollutants_that_both_readings_have_are_compared():
    assert judge({PM25: 400.0}, NOW_MS, None, sound(NOW_MS - HOUR_MS, o3=20.0)).flags == ()


def test_a_reading_may_carry_several_flags():
    verdict = judge({PM25: 400.0, CO: 0.4, O3: -1.0}, NOW_MS, NOW_MS - 1000, sound(NOW_MS - 1000, pm25=20.0))

    assert verdict.flags == (Flag.RANGE, Flag.JUMP, Flag.REPEAT, Flag.UNIT_SCALE)
    assert verdict.values == {}
