"""The states of a case: no sequence of calls leaves the table."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lienthong.administration.v1 import CaseState
from mesh.errors import FailedPrecondition
from services.administration.case_states import Clock, check_move, clock_of, is_open
from tests.unit.administration.case_desk import PROCESSED, RETURNED, new_case_desk

STATES = range(1, 11)

ALLOWED = {1: {2, 3, 7}, 2: {4, 7}, 4: {5, 6, 7, 8, 9}, 5: {4, 7, 8}, 6: {4, 7, 8}, 8: {4}, 9: {10}}
"""Moves of the national public-service portal."""


@pytest.mark.parametrize("before", STATES)
def test_exactly_the_moves_of_the_portal_are_allowed(before: int):
    assert {after for after in STATES if _is_allowed(before, after)} == ALLOWED.get(before, set())


def _is_allowed(before: int, after: int) -> bool:
    try:
        check_move(before, after)
    except FailedPrecondition:
        return False
    return True


def test_a_refusal_names_what_is_allowed():
    with pytest.raises(FailedPrecondition, match="FILED cannot become PROCESSED") as refused:
        check_move(1, PROCESSED)

    assert refused.value.allowed == ("ACCEPTED", "NOT_ACCEPTED", "WITHDRAWN")


def test_a_refusal_in_a_final_state_says_so():
    with pytest.raises(FailedPrecondition, match="that is final") as refused:
        check_move(RETURNED, 4)

    assert refused.value.allowed == ()


def test_the_clock_stands_while_papers_or_a_fee_are_awaited_or_the_case_is_stopped():
    assert [state for state in STATES if clock_of(state) is Clock.STANDS] == [5, 6, 8]
    assert [state for state in STATES if is_open(state)] == [2, 4, 5, 6, 8]


@given(st.lists(st.sampled_from(STATES), max_size=15))
def test_no_sequence_of_calls_leaves_the_table(wanted: list[int]):
    desk = new_case_desk()
    case = desk.file()
    expected = [1]
    for state in wanted:
        if state in ALLOWED.get(expected[-1], set()):
            expected.append(state)
            case = desk.move(case, state)
        else:
            with pytest.raises(FailedPrecondition):
                desk.move(case, state)

    assert case.state == expected[-1]
    assert [(move.from_state, move.to_state) for move in case.moves] == list(pairwise(expected))
    assert [event.to_state for event in desk.emitted.messages[1:]] == expected[1:]


def test_every_state_of_the_contract_is_in_the_table():
    assert {clock_of(state) for state in CaseState.values() if state} == set(Clock)
