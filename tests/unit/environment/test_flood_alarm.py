"""The life of a flood alarm, as a fold over stages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.environment.flood_alarm import (
    CHANGES,
    AlarmState,
    Change,
    Limits,
    Transition,
    level_after,
    lift_by_hand,
    step,
)

AI_NGHIA = Limits((6500, 8000, 9000), 200)
RAISED, ESCALATED, LOWERED, LIFTED = Change
BY_HAND = None

stages = st.integers(5500, 10_000)
limits = st.builds(
    lambda first, gaps, part: Limits((first, first + gaps[0], first + sum(gaps)), min(gaps) * part // 100),
    st.integers(-5000, 20_000),
    st.tuples(st.integers(2, 3000), st.integers(2, 3000)),
    st.integers(0, 99),
)


def fold(seen: list[int | None], of: Limits = AI_NGHIA) -> tuple[AlarmState, list[Transition]]:
    """The alarm after these stages, and what it said; None is an operator who lifts it if it stands."""
    state, said = AlarmState(), []
    for moment, stage_mm in enumerate(seen):
        transition = None
        if stage_mm is not None:
            state, transition = step(state, stage_mm, moment, of)
        elif state.level:
            state, transition = lift_by_hand(state, moment)
        said += [transition] if transition else []
    return state, said


def moves(seen: list[int | None], of: Limits = AI_NGHIA) -> list[tuple[Change, int]]:
    return [(transition.change, transition.level) for transition in fold(seen, of)[1]]


def test_a_level_begins_when_it_is_reached():
    assert moves([6499]) == []
    assert moves([6500]) == [(RAISED, 1)]


def test_a_flood_is_raised_escalated_lowered_and_lifted():
    assert moves([6000, 7000, 8200, 9100, 8900, 8500, 7500, 6200]) == [
        (RAISED, 1),
        (ESCALATED, 2),
        (ESCALATED, 3),
        (LOWERED, 2),
        (LOWERED, 1),
        (LIFTED, 0),
    ]


def test_a_stage_may_pass_several_levels_at_once_and_says_so_once():
    assert moves([9500, 7000, 8500, 5000]) == [(RAISED, 3), (LOWERED, 1), (ESCALATED, 2), (LIFTED, 0)]


def test_a_level_ends_only_below_the_hysteresis():
    assert moves([6500, 6300]) == [(RAISED, 1)]
    assert moves([6500, 6299]) == [(RAISED, 1), (LIFTED, 0)]


def test_the_level_it_falls_to_has_its_hysteresis_too():
    """7.85 m is below II, and within its hysteresis: the alarm stays at II for as long as that holds."""
    assert moves([9000, 7850]) == [(RAISED, 3), (LOWERED, 2)]
    assert moves([9000, 7799]) == [(RAISED, 3), (LOWERED, 1)]


def test_a_transition_tells_the_level_before_and_the_stage():
    _, said = fold([7000, 9000])

    assert said[-1] == Transition(ESCALATED, 3, 1, 1, 9000)


def test_an_operator_lifts_any_level_and_the_next_stage_raises_it_again():
    assert moves([9500, BY_HAND, 9400]) == [(RAISED, 3), (LIFTED, 0), (RAISED, 3)]


def test_the_state_tells_when_it_began_and_how_high_it_was():
    state, _ = fold([7000, 9000, 8500])
    assert (state.level, state.highest, state.stage_mm) == (2, 3, 8500)
    assert (state.raised_at_ms, state.changed_at_ms, state.lifted_at_ms) == (0, 2, None)

    state, _ = fold([7000, 9000, 5000])
    assert (state.level, state.highest, state.lifted_at_ms) == (0, 3, 2)

    state, _ = fold([9000, 5000, 7000])
    assert (state.level, state.highest, state.raised_at_ms, state.lifted_at_ms) == (1, 1, 2, None)


def test_the_state_table_knows_every_move_there_is():
    assert CHANGES.keys() == {(one, other) for one in range(4) for other in range(4) if one != other}


@given(st.lists(stages | st.none(), max_size=60), limits)
def test_no_sequence_leaves_the_state_table(seen: list[int | None], of: Limits):
    _, said = fold(seen, of)

    level = 0
    for transition in said:
        assert transition.previous == level
        assert CHANGES[level, transition.level] is transition.change
        level = transition.level


@given(st.lists(stages | st.none(), max_size=60), limits)
def test_the_level_of_the_last_event_is_always_that_of_the_fold(seen: list[int | None], of: Limits):
    for until in range(len(seen) + 1):
        state, said = fold(seen[:until], of)
        assert state.level == (said[-1].level if said else 0)


@given(st.lists(stages, max_size=60), limits)
def test_no_event_is_emitted_for_a_level_that_stands(seen: list[int], of: Limits):
    assert all(transition.level != transition.previous for transition in fold(list(seen), of)[1])


@given(limits, st.integers(0, 2), st.lists(st.floats(-0.5, 0.5), max_size=40))
def test_chatter_within_the_hysteresis_around_a_level_is_silent_after_the_first_event(
    of: Limits, which: int, chatter: list[float]
):
    threshold = of.levels_mm[which]
    noise = [threshold + int(part * of.hysteresis_mm) for part in chatter]

    said = moves([threshold, *noise], of)

    assert said == [(RAISED, which + 1)]


@given(limits, st.integers(0, 3), st.integers(-6000, 30_000))
def test_a_stage_at_a_level_stands_at_that_level_or_above_whatever_stood_before(of: Limits, before: int, stage_mm: int):
    after = level_after(before, stage_mm, of)

    assert after >= of.reached_by(stage_mm)
    assert after <= max(before, of.reached_by(stage_mm))
    assert after == 0 or stage_mm >= of.levels_mm[after - 1] - of.hysteresis_mm
