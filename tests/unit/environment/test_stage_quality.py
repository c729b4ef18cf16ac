"""Which stages are believed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.environment.stage_quality import Flag, Reference, Seen, judge

MINUTE_MS = 60_000
TWO_METRES_AN_HOUR = 2000


def flags(*seen: tuple[float, int], rate: int = TWO_METRES_AN_HOUR) -> list[Flag | None]:
    """Flags of stages in millimetres by minute, in the order they come."""
    reference, found = Reference(), []
    for minute, stage_mm in seen:
        flag, reference = judge(Seen(int(minute * MINUTE_MS), stage_mm), reference, rate)
        found.append(flag)
    return found


def test_the_first_stage_of_a_station_is_sound():
    assert flags((0, 12_000)) == [None]


def test_a_stage_that_moves_faster_than_plausible_is_a_jump():
    """Two metres an hour, and five centimetres for the reading."""
    assert flags((0, 6000), (60, 8050)) == [None, None]
    assert flags((0, 6000), (60, 8051)) == [None, Flag.JUMP]
    assert flags((0, 6000), (60, 3949)) == [None, Flag.JUMP]


def test_stages_closer_than_ten_minutes_may_differ_as_if_ten_minutes_had_passed():
    allowed = 6000 + 2000 // 6 + 50
    assert flags((0, 6000), (1, allowed)) == [None, None]
    assert flags((0, 6000), (1, allowed + 1)) == [None, Flag.JUMP]


def test_a_jump_is_not_what_the_next_stage_is_compared_with():
    assert flags((0, 6000), (20, 12_000), (60, 6100)) == [None, Flag.JUMP, None]


def test_the_rate_is_the_stations_own():
    assert flags((0, 6000), (60, 7000), rate=500) == [None, Flag.JUMP]


def test_a_third_jump_in_a_row_that_agrees_with_the_others_is_believed():
    assert flags((0, 6000), (20, 10_000), (40, 10_100), (60, 10_200), (80, 10_300)) == [
        None,
        Flag.JUMP,
        Flag.JUMP,
        None,
        None,
    ]


def test_jumps_that_disagree_are_not_believed():
    assert flags((0, 6000), (20, 10_000), (40, 2000), (60, 10_000), (80, 2000)) == [None] + [Flag.JUMP] * 4


def test_a_sound_stage_between_them_makes_jumps_begin_anew():
    assert flags((0, 6000), (20, 10_000), (40, 10_000), (50, 6000), (60, 10_000)) == [
        None,
        Flag.JUMP,
        Flag.JUMP,
        None,
        Flag.JUMP,
    ]


def test_jumps_agree_from_the_last_one_that_did_not():
    assert flags((0, 6000), (20, 15_000), (40, 10_000), (60, 10_000), (80, 10_000))[1:] == [
        Flag.JUMP,
        Flag.JUMP,
        Flag.JUMP,
        None,
    ]


def test_a_stage_before_the_latest_sound_one_is_late():
    assert flags((60, 6000), (0, 6000), (0, 12_000)) == [None, Flag.LATE, Flag.LATE]


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(-1000, 20_000)), max_size=40))
def test_what_is_judged_never_goes_back_in_time_and_never_waits_for_more_than_two_jumps(seen: list[tuple[int, int]]):
    reference, latest = Reference(), -1
    for minute, stage_mm in seen:
        flag, reference = judge(Seen(minute, stage_mm), reference, TWO_METRES_AN_HOUR)
        if flag is None:
            assert minute >= latest
            latest = minute
        assert reference.sound is not None
        assert reference.sound.at_ms == latest
        assert len(reference.jumps) <= 2


@given(st.integers(-1000, 1000), st.lists(st.integers(-2000, 2000), max_size=40))
def test_a_river_that_keeps_to_its_rate_is_never_flagged(start: int, hourly: list[int]):
    seen, stage_mm = [(0.0, start)], start
    for hour, change in enumerate(hourly, start=1):
        stage_mm += change
        seen.append((60.0 * hour, stage_mm))

    assert set(flags(*seen)) == {None}
