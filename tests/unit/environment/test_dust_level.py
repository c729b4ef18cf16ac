"""Which index an hour must pass, given road works."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.environment.dust_level import level_of, without_past

HOUR_MS = 3_600_000
NOON = 12 * HOUR_MS


def test_without_road_works_the_usual_level_holds():
    assert level_of(12, {}, 100) == 100


def test_road_works_within_the_hour_tighten_it_however_short():
    assert level_of(12, {"a": [NOON + HOUR_MS - 1, NOON + 9 * HOUR_MS, 75]}, 100) == 75
    assert level_of(12, {"a": [NOON - HOUR_MS, NOON + 1, 75]}, 100) == 75


def test_road_works_that_only_touch_the_hour_do_not():
    assert level_of(12, {"a": [NOON - HOUR_MS, NOON, 75]}, 100) == 100
    assert level_of(12, {"a": [NOON + HOUR_MS, NOON + 2 * HOUR_MS, 75]}, 100) == 100


def test_road_works_that_were_over_before_they_began_tighten_nothing():
    assert level_of(12, {"a": [NOON + 2000, NOON + 1000, 75]}, 100) == 100


def test_the_lowest_of_several_counts_and_none_raises_the_usual_level():
    assert level_of(12, {"a": [0, 2**53, 75], "b": [0, 2**53, 60]}, 100) == 60
    assert level_of(12, {"a": [0, 2**53, 75]}, 50) == 50


spans = st.dictionaries(
    st.sampled_from("abcd"), st.tuples(st.integers(0, 200), st.integers(0, 200)).map(lambda ends: _span(*ends))
)


def _span(start: int, length: int) -> list[int]:
    return [start * HOUR_MS // 2, (start + length) * HOUR_MS // 2, 75]


@given(spans, st.integers(48, 200))
def test_forgetting_what_is_past_changes_no_hour_that_may_still_be_judged(kept: dict[str, list[int]], closed: int):
    left = without_past(kept, closed)

    for hour in range(closed - 48, closed + 60):
        assert level_of(hour, left, 100) == level_of(hour, kept, 100)
