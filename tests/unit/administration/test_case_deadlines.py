"""Deadlines of cases: working days from acceptance, and none of those on which the clock stood."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lienthong.administration.v1 import (
    PUNCTUALITY_EARLY,
    PUNCTUALITY_LATE,
    PUNCTUALITY_ON_TIME,
    PUNCTUALITY_UNSPECIFIED,
)
from mesh.errors import FailedPrecondition
from services.administration.working_days import WORKING_DAYS
from tests.unit.administration.case_desk import (
    ACCEPTED,
    FEE,
    IN_PROCESS,
    MORE_PAPERS,
    NOT_ACCEPTED,
    PROCESSED,
    RETURNED,
    STOPPED,
    WITHDRAWN,
    CaseDesk,
    new_case_desk,
)

PERMANENT_RESIDENCE = "1.004222"
"""May take 7 working days."""

days = st.dates(date(2026, 1, 1), date(2026, 12, 31))
waits = st.lists(st.tuples(st.sampled_from([MORE_PAPERS, FEE, STOPPED]), st.integers(0, 12)), max_size=4)


def test_a_deadline_is_counted_from_the_day_after_acceptance():
    desk = new_case_desk().on("2026-11-09")

    case = desk.move(desk.file(), ACCEPTED)

    assert (case.deadline_day, case.paused) == ("2026-11-12", False)


def test_weekends_and_holidays_are_not_counted():
    """Seven working days from Thursday, 12 February, over Tết."""
    desk = new_case_desk().on("2026-02-12")

    case = desk.move(desk.file(procedure_code=PERMANENT_RESIDENCE), ACCEPTED)

    assert case.deadline_day == "2026-03-02"


def test_a_case_accepted_late_in_the_evening_is_accepted_on_that_day_here():
    desk = new_case_desk()
    desk.clock.advance(datetime.fromisoformat("2026-11-09T23:30:00+07:00") - desk.clock.now())

    assert desk.move(desk.file(), ACCEPTED).deadline_day == "2026-11-12"


def test_there_is_no_deadline_before_acceptance_and_none_without():
    desk = new_case_desk()

    filed = desk.file()
    refused = desk.move(desk.file(), NOT_ACCEPTED)

    assert (filed.deadline_day, refused.deadline_day) == ("", "")


def test_a_pause_moves_the_deadline_by_its_working_days():
    """Paused on Tuesday, resumed on the Monday after: Tuesday to Friday are four."""
    desk = new_case_desk().on("2026-11-09")
    case = desk.move(desk.file(), ACCEPTED, IN_PROCESS)
    paused = desk.on("2026-11-10").move(case, MORE_PAPERS)

    resumed = desk.on("2026-11-16").move(case, IN_PROCESS)

    assert (paused.deadline_day, paused.paused) == ("2026-11-12", True)
    assert (resumed.deadline_day, resumed.paused, resumed.paused_working_days) == ("2026-11-18", False, 4)


def test_a_case_that_is_stopped_while_papers_are_awaited_stays_paused():
    desk = new_case_desk().on("2026-11-09")
    case = desk.move(desk.file(), ACCEPTED, IN_PROCESS, MORE_PAPERS)
    stopped = desk.on("2026-11-11").move(case, STOPPED)

    resumed = desk.on("2026-11-13").move(case, IN_PROCESS)

    assert (stopped.paused, stopped.paused_working_days) == (True, 2)
    assert (resumed.deadline_day, resumed.paused_working_days) == ("2026-11-18", 4)


def test_a_case_that_is_withdrawn_while_it_is_paused_keeps_its_deadline():
    desk = new_case_desk()
    case = desk.move(desk.file(), ACCEPTED, IN_PROCESS, FEE)

    withdrawn = desk.on("2026-12-09").move(case, WITHDRAWN)

    assert (withdrawn.deadline_day, withdrawn.paused) == ("2026-11-12", False)
    assert withdrawn.punctuality == PUNCTUALITY_UNSPECIFIED


@pytest.mark.parametrize(
    ("day", "punctuality"),
    [("2026-11-11", PUNCTUALITY_EARLY), ("2026-11-12", PUNCTUALITY_ON_TIME), ("2026-11-13", PUNCTUALITY_LATE)],
)
def test_a_processed_case_was_early_on_time_or_late_by_the_day(day: str, punctuality: int):
    desk = new_case_desk().on("2026-11-09")
    case = desk.move(desk.file(), ACCEPTED, IN_PROCESS)

    processed = desk.on(day).move(case, PROCESSED)
    returned = desk.on("2026-12-01").move(case, RETURNED)

    assert processed.punctuality == returned.punctuality == punctuality
    assert processed.processed_at == returned.processed_at


def test_a_case_that_runs_over_its_deadline_is_late_before_it_is_processed():
    desk = new_case_desk().on("2026-11-09")
    case = desk.move(desk.file(), ACCEPTED, IN_PROCESS)

    on_the_day = desk.on("2026-11-12").case(case.id)
    the_day_after = desk.on("2026-11-13").case(case.id)

    assert on_the_day.punctuality == PUNCTUALITY_UNSPECIFIED
    assert the_day_after.punctuality == PUNCTUALITY_LATE


def test_a_case_paused_in_time_does_not_become_late_by_waiting():
    desk = new_case_desk().on("2026-11-09")
    case = desk.move(desk.file(), ACCEPTED, IN_PROCESS, FEE)

    assert desk.on("2026-12-09").case(case.id).punctuality == PUNCTUALITY_UNSPECIFIED


def test_a_case_paused_too_late_stays_late():
    desk = new_case_desk().on("2026-11-09")
    case = desk.move(desk.file(), ACCEPTED, IN_PROCESS)
    desk.on("2026-11-16").move(case, FEE)

    assert desk.case(case.id).punctuality == PUNCTUALITY_LATE
    assert desk.on("2026-11-20").move(case, IN_PROCESS).punctuality == PUNCTUALITY_LATE


def test_a_deadline_beyond_the_calendar_is_refused_and_nothing_moves():
    desk = new_case_desk().on("2027-12-30")
    case = desk.file()

    with pytest.raises(FailedPrecondition, match=r"holidays\.csv"):
        desk.move(case, ACCEPTED)

    assert desk.case(case.id).moves == []


@given(days, st.lists(st.sampled_from([MORE_PAPERS, FEE, STOPPED]), max_size=4))
def test_pausing_and_resuming_on_the_same_day_changes_nothing(day: date, pauses: list[int]):
    desk, case = _in_process(day)

    for pause in pauses:
        paused = desk.move(case, pause, IN_PROCESS)
        assert (paused.deadline_day, paused.paused_working_days) == (case.deadline_day, 0)


@given(days, waits)
def test_a_deadline_leaves_the_procedure_its_working_days_and_those_of_the_pauses(
    day: date, waits: list[tuple[int, int]]
):
    desk, case = _in_process(day)
    for pause, length in waits:
        desk.move(case, pause)
        desk.clock.advance(timedelta(length))
        case = desk.move(case, IN_PROCESS)

    deadline = date.fromisoformat(case.deadline_day)
    counted = WORKING_DAYS.between(day + timedelta(1), deadline + timedelta(1))

    assert counted == 3 + case.paused_working_days


@given(days, st.integers(0, 10), st.integers(0, 30))
def test_standing_neither_makes_a_case_late_nor_in_time_again(day: date, before: int, stood: int):
    desk, case = _in_process(day)
    desk.clock.advance(timedelta(before))
    paused = desk.move(case, MORE_PAPERS)
    desk.clock.advance(timedelta(stood))

    waiting, resumed = desk.case(case.id), desk.move(case, IN_PROCESS)

    assert paused.punctuality == waiting.punctuality == resumed.punctuality


def _in_process(day: date) -> tuple[CaseDesk, object]:
    desk = new_case_desk().on(day.isoformat())
    return desk, desk.move(desk.file(), ACCEPTED, IN_PROCESS)
