"""Pages of cases."""

from __future__ import annotations

import pytest

from lienthong.administration import v1
from mesh.errors import InvalidArgument
from tests.unit.administration.case_desk import (
    ACCEPTED,
    FEE,
    IN_PROCESS,
    PROCESSED,
    CaseDesk,
    new_case_desk,
)


@pytest.fixture
def desk() -> CaseDesk:
    return new_case_desk()


def test_cases_come_by_code_and_page(desk: CaseDesk):
    for agency in ("H17.03", "H17.01", "H17.02"):
        desk.file(received_by=agency)

    first = desk.service.list_cases(v1.ListCasesRequest(page_size=2))
    second = desk.service.list_cases(v1.ListCasesRequest(page_size=2, page_token=first.next_page_token))

    assert [case.received_by for case in (*first.cases, *second.cases)] == ["H17.01", "H17.02", "H17.03"]
    assert (len(first.cases), second.next_page_token) == (2, "")


def test_cases_are_listed_without_their_moves(desk: CaseDesk):
    desk.move(desk.file(), ACCEPTED)

    (case,) = desk.service.list_cases(v1.ListCasesRequest()).cases

    assert (case.state, len(case.moves)) == (ACCEPTED, 0)
    assert case.HasField("accepted_at")


def test_filters_are_combined(desk: CaseDesk):
    accepted = desk.move(desk.file(), ACCEPTED)
    away = desk.file(decided_in="hue", agency_code="H57.01")
    other = desk.file(agency_code="H17.02")

    assert desk.codes(state=ACCEPTED) == [accepted.code]
    assert desk.codes(agency_code="000.00.02.H17") == [other.code]
    assert desk.codes(decided_in="hue") == [away.code]
    assert desk.codes(filed_in="da-nang") == [accepted.code, away.code, other.code]
    assert desk.codes(filed_in="hue") == desk.codes(state=ACCEPTED, decided_in="hue") == []


def test_an_agency_that_is_none_is_refused(desk: CaseDesk):
    with pytest.raises(InvalidArgument):
        desk.codes(agency_code="everybody")


def test_only_cases_whose_deadline_is_over_are_overdue(desk: CaseDesk):
    late, processed, paused = (desk.move(desk.file(), ACCEPTED, IN_PROCESS) for _ in range(3))
    desk.file()
    desk.move(processed, PROCESSED)
    desk.move(paused, FEE)

    in_time = desk.on("2026-11-12").codes(overdue_only=True)
    over = desk.on("2026-11-13").codes(overdue_only=True)

    assert (in_time, over) == ([], [late.code])
