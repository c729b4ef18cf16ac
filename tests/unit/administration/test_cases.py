"""Cases are filed by anyone entitled, moved where they are decided, and shown without more than is asked for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lienthong.administration import v1
from lienthong.administration.v1 import CaseFiled, CaseMoved
from mesh.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.unit.administration.case_desk import (
    ACCEPTED,
    FILED,
    IN_PROCESS,
    MORE_PAPERS,
    PROCESSED,
    CaseDesk,
    new_case_desk,
)


@pytest.fixture
def desk() -> CaseDesk:
    return new_case_desk()


def refused_field(call) -> str:
    with pytest.raises(InvalidArgument) as refused:
        call()
    (violation,) = refused.value.violations
    return violation.field


def test_a_case_is_kept_as_it_was_filed(desk: CaseDesk):
    filed = desk.file(procedure_code="1.004194.000.00.00.H17", received_by="000.00.01.H17", agency_code="H17.02")

    case = desk.case(filed.id)

    assert (case.procedure_code, case.received_by, case.agency_code) == ("1.004194", "H17.01", "H17.02")
    assert (case.filed_in, case.decided_in, case.state) == ("da-nang", "da-nang", FILED)
    assert case.filed_at.ToDatetime(tzinfo=desk.clock.now().tzinfo) == desk.clock.now()


def test_the_event_of_a_filed_case_tells_all_but_the_applicant(desk: CaseDesk):
    case = desk.file()

    (event,) = desk.emitted.of(CaseFiled)
    assert (event.case_id, event.case_code, event.agency_code) == (case.id, case.code, "H17.01")
    assert (event.filed_in, event.decided_in, event.filed_at) == ("da-nang", "da-nang", case.filed_at)
    assert "applicant" not in str(event)


def test_only_who_asks_for_one_case_is_told_the_applicant(desk: CaseDesk):
    filed = desk.file()
    moved = desk.move(filed, ACCEPTED)
    (listed,) = desk.service.list_cases(v1.ListCasesRequest()).cases

    assert desk.case(filed.id).applicant_ref == "applicant-7"
    assert filed.applicant_ref == moved.applicant_ref == listed.applicant_ref == ""


def test_a_case_is_found_by_its_code(desk: CaseDesk):
    filed = desk.file()

    found = desk.service.get_case(v1.GetCaseRequest(case_code=filed.code)).case

    assert found.id == filed.id


def test_a_case_that_nobody_filed_is_not_found(desk: CaseDesk):
    with pytest.raises(NotFound):
        desk.service.get_case(v1.GetCaseRequest(case_code="H17.01-261109-0001"))
    with pytest.raises(NotFound):
        desk.move(v1.Case(id="nobody"), ACCEPTED)


def test_a_case_is_asked_for_by_something(desk: CaseDesk):
    assert refused_field(lambda: desk.service.get_case(v1.GetCaseRequest())) == "case_id"


def test_an_unknown_procedure_is_refused(desk: CaseDesk):
    assert refused_field(lambda: desk.file(procedure_code="1.999999")) == "procedure_code"
    assert desk.emitted.messages == []


def test_an_unknown_locality_is_refused(desk: CaseDesk):
    assert refused_field(lambda: desk.file(decided_in="atlantis")) == "decided_in"


def test_a_code_without_a_ministry_or_locality_is_refused(desk: CaseDesk):
    assert refused_field(lambda: desk.file(received_by="000.00")) == "received_by"
    assert refused_field(lambda: desk.file(agency_code="12.34")) == "agency_code"


def test_a_case_is_filed_now_or_was_filed_before(desk: CaseDesk):
    now = desk.clock.now()

    yesterday = desk.file(filed_at=now - timedelta(days=1))
    slightly_ahead = desk.file(filed_at=now + timedelta(seconds=59))

    assert yesterday.filed_at.seconds < slightly_ahead.filed_at.seconds
    assert refused_field(lambda: desk.file(filed_at=now + timedelta(seconds=61))) == "filed_at"
    assert refused_field(lambda: desk.file(filed_at=now.replace(year=1999))) == "filed_at"


def test_each_move_is_told_with_all_that_is_shown_of_the_case(desk: CaseDesk):
    case = desk.move(desk.file(), ACCEPTED, IN_PROCESS, MORE_PAPERS)
    case = desk.on("2026-11-11").move(case, IN_PROCESS, PROCESSED)

    events = desk.emitted.of(CaseMoved)
    assert [event.moves for event in events] == [1, 2, 3, 4, 5]
    assert [event.deadline_day for event in events] == ["2026-11-12"] * 3 + ["2026-11-16"] * 2
    assert (events[-1].from_state, events[-1].to_state) == (IN_PROCESS, PROCESSED)
    assert (events[-1].paused_working_days, events[-1].punctuality) == (2, v1.PUNCTUALITY_EARLY)
    assert events[-1].moved_at == case.changed_at == case.processed_at


def test_a_case_shows_its_moves_oldest_first(desk: CaseDesk):
    case = desk.move(desk.file(), ACCEPTED, IN_PROCESS)

    assert [(move.from_state, move.to_state) for move in desk.case(case.id).moves] == [(1, 2), (2, 4)]
    assert case.accepted_at == case.moves[0].moved_at


def test_a_case_that_another_locality_decides_stays_filed_here_and_names_it(desk: CaseDesk):
    case = desk.file(decided_in="hue", agency_code="H57.01")

    with pytest.raises(FailedPrecondition, match="decided in hue"):
        desk.move(case, ACCEPTED)

    assert desk.case(case.id).state == FILED
    assert [type(event) for event in desk.emitted.messages] == [CaseFiled]
