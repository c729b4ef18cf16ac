"""The life of an alert, as a fold over hours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.environment.air_quality_alert import (
    AlertState,
    Lifted,
    LiftReason,
    Raised,
    Transition,
    correct,
    step,
)
from services.environment.vn_aqi import Index, Pollutant

PM25 = Pollutant.PM25
Indexes = list[int | None]


def fold(indexes: dict[int, int | None] | Indexes, level: int = 100) -> tuple[AlertState, list[Transition]]:
    """The alert after these hours, and what it said on the way."""
    hours = indexes if isinstance(indexes, dict) else dict(enumerate(indexes))
    state, said = AlertState(), []
    for hour, index in hours.items():
        state, transitions = step(state, hour, None if index is None else Index(index, PM25), level)
        said += transitions
    return state, said


def test_an_index_at_the_level_does_not_pass_it():
    assert fold([100])[1] == []
    assert fold([101])[1] == [Raised(0, 3, 101, PM25, 100)]


def test_the_level_is_configured():
    assert fold([51], level=50)[1] == [Raised(0, 2, 51, PM25, 50)]


def test_it_is_raised_again_only_for_a_higher_band_than_published():
    _, said = fold([120, 149, 151, 120, 199, 201])

    assert said == [Raised(0, 3, 120, PM25, 100), Raised(2, 4, 151, PM25, 100, 3), Raised(5, 5, 201, PM25, 100, 4)]


def test_it_is_lifted_after_two_hours_at_or_below_the_level():
    _, said = fold([120, 100, 90])

    assert said == [Raised(0, 3, 120, PM25, 100), Lifted(2, LiftReason.INDEX_BELOW, 90)]


def test_one_hour_above_the_level_starts_the_count_again():
    _, said = fold([120, 90, 101, 90])

    assert said == [Raised(0, 3, 120, PM25, 100)]


def test_an_hour_without_an_index_neither_counts_nor_resets():
    _, said = fold([120, 90, None, 80])

    assert said[-1] == Lifted(3, LiftReason.INDEX_BELOW, 80)


def test_six_hours_without_an_index_lift_it_as_of_the_sixth():
    _, said = fold({0: 120, 1: None, 5: None, 6: None})

    assert said == [Raised(0, 3, 120, PM25, 100), Lifted(6, LiftReason.NO_DATA)]


def test_hours_that_nobody_measured_count_when_the_next_one_closes():
    _, said = fold({0: 120, 7: 130})

    assert said == [Raised(0, 3, 120, PM25, 100), Lifted(6, LiftReason.NO_DATA), Raised(7, 3, 130, PM25, 100)]


def test_five_hours_of_silence_lift_nothing():
    assert fold({0: 120, 6: 120})[1] == [Raised(0, 3, 120, PM25, 100)]


def test_a_correction_that_takes_the_reason_away_lifts_it():
    published, _ = fold([120])
    refolded, _ = fold([90])

    state, said = correct(published, refolded, 0, Index(90, PM25))

    assert said == [Lifted(0, LiftReason.CORRECTED, 90)]
    assert not state.active


def test_a_correction_that_finds_a_reason_raises_it():
    refolded, _ = fold([90, 160, 120])

    _, said = correct(AlertState(last_index_hour=2), refolded, 2, Index(120, PM25))

    assert said == [Raised(1, 4, 160, PM25, 100)]


def test_a_correction_to_a_milder_alert_says_nothing_and_keeps_the_published_band():
    published, _ = fold([160, 120])
    refolded, _ = fold([120, 120])

    state, said = correct(published, refolded, 1, Index(120, PM25))

    assert said == []
    assert state.band == published.band
    assert step(state, 2, Index(155, PM25), 100)[1] == []


@given(st.lists(st.none() | st.integers(0, 500), max_size=40), st.integers(0, 499))
def test_raised_and_lifted_take_turns_and_bands_only_rise_between(indexes: Indexes, level: int):
    _, said = fold(indexes, level)

    band = 0
    for transition in said:
        if isinstance(transition, Raised):
            assert transition.previous_band == band
            assert transition.index > level
            assert transition.band > band
            band = transition.band
        else:
            assert band > 0
            band = 0


@given(st.lists(st.integers(0, 500), max_size=40), st.integers(0, 499))
def test_an_alert_stands_exactly_while_one_of_the_last_two_hours_passed_the_level(indexes: list[int], level: int):
    state, _ = fold(list(indexes), level)

    above = [index > level for index in indexes]
    assert state.active == (above[-1:] == [True] or (above[-2:-1] == [True] and len(above) > 1))
