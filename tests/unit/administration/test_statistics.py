"""How agencies met their deadlines: the counters equal what counting the cases would give."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import FailedPrecondition, InvalidArgument
from services.administration.documents import Agency, AgencyDay, Case
from services.administration.statistics import tally
from tests.unit.administration.case_desk import (
    ACCEPTED,
    FEE,
    IN_PROCESS,
    NOT_ACCEPTED,
    PROCESSED,
    RETURNED,
    WITHDRAWN,
    CaseDesk,
    new_case_desk,
)

AGENCIES = ("H17.01", "H17.02")


@pytest.fixture
def desk() -> CaseDesk:
    return new_case_desk()


def shown(desk: CaseDesk, **asked: str) -> list[dict[str, object]]:
    agencies = desk.statistics(**asked).agencies
    return [MessageToDict(agency, preserving_proto_field_name=True) for agency in agencies]


def test_processed_cases_are_counted_by_how_they_met_their_deadline(desk: CaseDesk):
    """Due on the 12th."""
    cases = [desk.move(desk.file(), ACCEPTED, IN_PROCESS) for _ in range(4)]
    for case, day in zip(cases, (10, 11, 12, 13), strict=True):
        desk.on(f"2026-11-{day}").move(case, PROCESSED, RETURNED)

    assert shown(desk) == [{"agency_code": "H17.01", "early": 2, "on_time": 1, "late": 1}]


def test_only_days_of_processing_that_are_asked_for_count(desk: CaseDesk):
    cases = [desk.move(desk.file(), ACCEPTED, IN_PROCESS) for _ in range(3)]
    for case, day in zip(cases, ("09", "10", "11"), strict=True):
        desk.on(f"2026-11-{day}").move(case, PROCESSED)

    assert shown(desk, first="2026-11-10", last="2026-11-11") == [{"agency_code": "H17.01", "early": 2}]


def test_open_cases_are_counted_as_of_now(desk: CaseDesk):
    desk.file()
    desk.move(desk.file(), NOT_ACCEPTED)
    desk.move(desk.file(), ACCEPTED, WITHDRAWN)
    desk.move(desk.file(), ACCEPTED, IN_PROCESS)
    desk.move(desk.file(), ACCEPTED, IN_PROCESS, FEE)

    before = shown(desk)
    after = shown(desk.on("2026-11-13"))

    assert before == [{"agency_code": "H17.01", "open": 2, "paused": 1}]
    assert after == [{"agency_code": "H17.01", "open": 2, "open_late": 1, "paused": 1}]


def test_agencies_come_by_code_and_page(desk: CaseDesk):
    for agency in ("H17.03", "H17.01", "H17.02"):
        desk.move(desk.file(agency_code=agency), ACCEPTED)

    first = desk.statistics(page_size=2)
    second = desk.statistics(page_size=2, page_token=first.next_page_token)

    assert [one.agency_code for one in (*first.agencies, *second.agencies)] == ["H17.01", "H17.02", "H17.03"]
    assert (len(first.agencies), second.next_page_token) == (2, "")


def test_one_agency_may_be_asked_for_in_either_form(desk: CaseDesk):
    for agency in AGENCIES:
        desk.move(desk.file(agency_code=agency), ACCEPTED)

    assert [one["agency_code"] for one in shown(desk, agency_code="000.00.02.H17")] == ["H17.02"]


def test_cases_decided_elsewhere_are_not_counted_here(desk: CaseDesk):
    desk.file(decided_in="hue", agency_code="H57.01")

    assert shown(desk) == []


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [
        ("2026-13-01", "2026-12-31", "from_day"),
        ("2026-01-01", "2026-02-30", "until_day"),
        ("2026-02-01", "2026-01-31", "until_day"),
        ("2026-01-01", "2027-01-03", "until_day"),
    ],
)
def test_a_range_that_is_none_or_too_long_is_refused(desk: CaseDesk, first: str, last: str, field: str):
    with pytest.raises(InvalidArgument) as refused:
        desk.statistics(first, last)

    assert [row.field for row in refused.value.violations] == [field]


moves = st.tuples(st.integers(0, 3), st.integers(2, 10), st.integers(0, 3))


@given(st.lists(moves, max_size=25))
def test_counters_equal_what_counting_the_cases_gives(wanted: list[tuple[int, int, int]]):
    desk = new_case_desk()
    cases = [desk.file(agency_code=AGENCIES[number % 2]) for number in range(4)]
    for number, state, days in wanted:
        desk.clock.advance(timedelta(days))
        try:
            desk.move(cases[number], state)
        except FailedPrecondition:
            continue

    assert counters(desk) == counted(desk)


def counters(desk: CaseDesk) -> Counter[tuple[str, str, str]]:
    kept: Counter[tuple[str, str, str]] = Counter()
    for agency in desk.store.find(Agency):
        kept |= {(agency.id, "", column): agency[column] for column in ("open", "paused")}
    for day in desk.store.find(AgencyDay):
        columns = ("early", "on_time", "late", "due")
        kept |= {(day.agency_code, day.day, column): day[column] for column in columns}
    assert min(kept.values(), default=0) >= 0
    return +kept


def counted(desk: CaseDesk) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for case in desk.store.find(Case):
        found.update({(case.agency_code, *key): number for key, number in tally(case).items()})
    return +found
