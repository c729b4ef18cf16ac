"""A case filed in Huế for Đà Nẵng: opened there, moved there, followed in Huế; whatever comes twice or late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lienthong.administration import v1
from lienthong.administration.v1 import CaseFiled, CaseMoved
from mesh.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.unit.administration.case_desk import (
    ACCEPTED,
    FEE,
    FILED,
    IN_PROCESS,
    PROCESSED,
    RETURNED,
    STOPPED,
    CaseDesk,
    new_case_desk,
)


@dataclass(frozen=True)
class Cause:
    """What a handler looks at of an event's envelope."""

    origin: str


@dataclass
class Border:
    """Huế, where a citizen files, and Đà Nẵng, where the agency is."""

    hue: CaseDesk
    da_nang: CaseDesk

    def file(self) -> v1.Case:
        """Files a case in Huế and lets Đà Nẵng hear of it."""
        case = self.hue.file(received_by="H57.01", agency_code="H17.01", decided_in="da-nang")
        self.open(self.hue.emitted.of(CaseFiled)[-1])
        return case

    def open(self, filed: CaseFiled, origin: str = "hue") -> None:
        self.da_nang.service.open_case_of_peer(filed, Cause(origin))

    def follow(self, *moved: CaseMoved, origin: str = "da-nang") -> None:
        for event in moved:
            self.hue.service.follow_case_of_peer(event, Cause(origin))

    def moves(self) -> list[CaseMoved]:
        return self.da_nang.emitted.of(CaseMoved)


@pytest.fixture
def border() -> Border:
    return Border(new_case_desk("hue"), new_case_desk("da-nang"))


def test_a_case_is_opened_where_it_is_decided_under_the_same_id_without_the_applicant(border: Border):
    filed = border.file()

    opened = border.da_nang.case(filed.id)

    assert opened == filed
    assert border.hue.case(filed.id).applicant_ref == "applicant-7"
    assert border.da_nang.emitted.messages == []


def test_the_locality_of_filing_follows_each_move(border: Border):
    case = border.file()
    border.da_nang.move(case, ACCEPTED, IN_PROCESS, FEE)
    border.da_nang.on("2026-11-11").move(case, IN_PROCESS, PROCESSED, RETURNED)

    border.follow(*border.moves())

    assert shown(border.hue, case.id) == shown(border.da_nang, case.id)
    assert border.hue.case(case.id).state == RETURNED
    assert border.hue.emitted.of(CaseMoved) == []


def shown(desk: CaseDesk, id: str) -> v1.Case:
    case = desk.case(id)
    case.ClearField("applicant_ref")
    return case


def test_the_locality_of_filing_sees_that_a_case_is_late(border: Border):
    case = border.file()
    border.da_nang.move(case, ACCEPTED, IN_PROCESS)
    border.follow(*border.moves())

    assert border.hue.on("2026-11-13").codes(overdue_only=True) == [case.code]
    assert border.hue.case(case.id).punctuality == v1.PUNCTUALITY_LATE


def test_the_locality_of_filing_cannot_move_it_and_the_other_counts_it(border: Border):
    case = border.file()
    border.da_nang.move(case, ACCEPTED)
    border.follow(*border.moves())

    with pytest.raises(FailedPrecondition, match="da-nang"):
        border.hue.move(case, IN_PROCESS)

    assert [agency.open for agency in border.da_nang.statistics().agencies] == [1]
    assert list(border.hue.statistics().agencies) == []


def test_a_case_that_is_told_of_again_is_not_filed_anew(border: Border):
    case = border.file()
    border.da_nang.move(case, ACCEPTED)

    border.open(border.hue.emitted.of(CaseFiled)[-1])

    assert border.da_nang.case(case.id).state == ACCEPTED


def test_what_is_decided_elsewhere_or_told_by_a_third_is_ignored(border: Border):
    border.hue.file(decided_in="quang-ninh", agency_code="H49")
    border.hue.file(decided_in="da-nang", agency_code="H17.01")
    elsewhere, told_by_a_third = border.hue.emitted.of(CaseFiled)

    border.open(elsewhere)
    border.open(told_by_a_third, origin="quang-ninh")

    assert border.da_nang.codes() == []


def test_an_id_that_is_not_that_of_its_code_is_refused(border: Border):
    border.hue.file(decided_in="da-nang")
    (filed,) = border.hue.emitted.of(CaseFiled)
    filed.case_id = "somebody-elses"

    with pytest.raises(InvalidArgument):
        border.open(filed)


def test_a_code_that_a_peer_has_taken_is_not_given_again(border: Border):
    border.da_nang.file()
    (filed,) = border.da_nang.emitted.of(CaseFiled)
    taken = CaseFiled()
    taken.CopyFrom(filed)
    taken.filed_in, taken.decided_in = "da-nang", "hue"
    border.hue.service.open_case_of_peer(taken, Cause("da-nang"))

    case = border.hue.file(received_by="H17.01")

    assert (filed.case_code, case.code) == ("H17.01-261109-0001", "H17.01-261109-0002")


@pytest.mark.parametrize("wrong", [{"origin": "quang-ninh"}, {"decided_in": "quang-ninh"}, {"filed_in": "quang-ninh"}])
def test_only_the_locality_that_decides_a_case_moves_it_here(border: Border, wrong: dict[str, Any]):
    case = border.file()
    border.da_nang.move(case, ACCEPTED)
    (moved,) = border.moves()
    origin = wrong.pop("origin", "da-nang")
    for field, value in wrong.items():
        setattr(moved, field, value)

    border.follow(moved, origin=origin)

    assert border.hue.case(case.id).state == FILED


def test_a_peer_does_not_move_what_is_decided_here(border: Border):
    case = border.hue.file()
    moved = CaseMoved(case_id=case.id, filed_in="hue", decided_in="da-nang", from_state=1, to_state=2, moves=1)

    border.follow(moved)

    assert border.hue.case(case.id).state == FILED


def test_a_move_of_a_case_that_is_unknown_here_asks_for_somebody_to_look(border: Border):
    moved = CaseMoved(case_id="lost", filed_in="hue", decided_in="da-nang", from_state=1, to_state=2, moves=1)

    with pytest.raises(NotFound):
        border.follow(moved)


def test_a_procedure_unknown_here_may_be_refused_but_not_accepted(border: Border):
    border.hue.file(decided_in="da-nang", agency_code="H17.01")
    (filed,) = border.hue.emitted.of(CaseFiled)
    filed.procedure_code = "9.999999"
    border.open(filed)

    with pytest.raises(FailedPrecondition, match=r"9\.999999.*procedures\.csv"):
        border.da_nang.move(v1.Case(id=filed.case_id), ACCEPTED)

    assert border.da_nang.move(v1.Case(id=filed.case_id), 3).state == 3


@given(st.data())
def test_however_moves_arrive_the_case_stands_in_the_end_as_where_it_is_decided(data: st.DataObject):
    border = Border(new_case_desk("hue"), new_case_desk("da-nang"))
    case = border.file()
    border.da_nang.move(case, ACCEPTED, IN_PROCESS)
    border.da_nang.on("2026-11-11").move(case, FEE)
    border.da_nang.on("2026-11-16").move(case, STOPPED)
    if data.draw(st.booleans()):
        border.da_nang.on("2026-11-20").move(case, IN_PROCESS, PROCESSED)
    events = border.moves()
    again = data.draw(st.lists(st.sampled_from(events), max_size=3))

    border.follow(*data.draw(st.permutations([*events, *again])))

    border.hue.on("2026-12-01")
    border.da_nang.on("2026-12-01")
    assert shown(border.hue, case.id) == shown(border.da_nang, case.id)
