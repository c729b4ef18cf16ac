"""Permits: what is asked before one is granted, what others are told, and what is refused."""

from __future__ import annotations

import pytest

from lienthong.administration import v1
from lienthong.administration.v1 import (
    PERMIT_KIND_DISCHARGE,
    PERMIT_KIND_PUBLIC_EVENT,
    PERMIT_KIND_ROAD_WORKS,
    PERMIT_STATE_APPLIED,
    PERMIT_STATE_CANCELLED,
    PERMIT_STATE_EXPIRED,
    PERMIT_STATE_GRANTED,
    PermitCancelled,
    PermitChanged,
    PermitGranted,
)
from mesh.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unavailable
from tests.unit.administration.permit_desk import BEACH, KNOWN, Desk, after, new_desk, times


@pytest.fixture
def desk() -> Desk:
    return new_desk()


def test_an_application_is_kept_and_nobody_is_told(desk: Desk):
    permit = desk.apply()

    assert desk.get(permit.id).state == PERMIT_STATE_APPLIED
    assert permit.revision == 0
    assert desk.emitted.messages == []


def test_a_granted_permit_is_told_whole(desk: Desk):
    permit = desk.apply(segment_ids=["cau-rong", "bach-dang", "cau-rong"], full_closure=True)

    desk.grant(permit.id)

    granted = PermitGranted(
        permit_id=permit.id,
        kind=PERMIT_KIND_ROAD_WORKS,
        title="Thay ống nước",
        segment_ids=KNOWN,
        full_closure=True,
        revision=1,
        granted_at=after(0),
        **times(1, 3),
    )
    assert desk.emitted.messages == [granted]
    assert desk.get(permit.id).state == PERMIT_STATE_GRANTED


def test_transport_is_asked_for_the_segments_of_road_works_only(desk: Desk):
    desk.grant(desk.apply().id)
    desk.grant(desk.apply(PERMIT_KIND_PUBLIC_EVENT, segment_ids=["unknown"]).id)

    assert desk.transport.asked == [["bach-dang"]]


def test_works_on_a_road_that_transport_does_not_know_are_not_granted(desk: Desk):
    permit = desk.apply(segment_ids=["bach-dang", *(f"no-{i}" for i in range(7))])

    with pytest.raises(FailedPrecondition, match="no road segments no-0, no-1, no-2, no-3, no-4 and 2 more"):
        desk.grant(permit.id)

    assert desk.get(permit.id).state == PERMIT_STATE_APPLIED
    assert desk.emitted.messages == []


def test_nothing_is_granted_while_transport_does_not_answer(desk: Desk):
    permit = desk.apply()
    desk.transport.is_away = True

    with pytest.raises(Unavailable):
        desk.grant(permit.id)

    assert desk.get(permit.id).state == PERMIT_STATE_APPLIED


def test_a_change_is_told_whole_with_the_next_revision(desk: Desk):
    permit = desk.grant(desk.apply().id)

    desk.change(permit.id, days=(2, 5), segment_ids=KNOWN, full_closure=True)

    [told] = desk.emitted.of(PermitChanged)
    assert (told.kind, told.title, list(told.segment_ids)) == (PERMIT_KIND_ROAD_WORKS, "Thay ống nước", list(KNOWN))
    assert (told.until, told.full_closure, told.revision, told.changed_at) == (after(5), True, 2, after(0))
    assert desk.get(permit.id).until == after(5)


def test_a_change_to_what_it_is_already_is_no_news(desk: Desk):
    permit = desk.grant(desk.apply().id)

    desk.change(permit.id, segment_ids=[*KNOWN[:1], *KNOWN[:1]])

    assert desk.emitted.of(PermitChanged) == []
    assert desk.get(permit.id).revision == 1


def test_a_change_to_a_road_that_transport_does_not_know_is_refused(desk: Desk):
    permit = desk.grant(desk.apply().id)

    with pytest.raises(FailedPrecondition, match="elsewhere"):
        desk.change(permit.id, segment_ids=["elsewhere"])

    assert list(desk.get(permit.id).segment_ids) == ["bach-dang"]


def test_a_cancelled_permit_is_told(desk: Desk):
    permit = desk.grant(desk.apply().id)

    desk.cancel(permit.id)

    [told] = desk.emitted.of(PermitCancelled)
    assert told == PermitCancelled(permit_id=permit.id, kind=PERMIT_KIND_ROAD_WORKS, revision=2, cancelled_at=after(0))
    assert desk.get(permit.id).state == PERMIT_STATE_CANCELLED


def test_a_withdrawn_application_is_not_told_as_nobody_was_told_of_it(desk: Desk):
    permit = desk.apply()

    desk.cancel(permit.id)

    assert desk.get(permit.id).state == PERMIT_STATE_CANCELLED
    assert desk.emitted.messages == []


def test_a_permit_expires_when_its_time_is_over_and_no_event_says_so(desk: Desk):
    permit = desk.grant(desk.apply(days=(1, 3)).id)

    desk.wait(days=3)

    assert desk.get(permit.id).state == PERMIT_STATE_EXPIRED
    assert len(desk.emitted.messages) == 1
    with pytest.raises(FailedPrecondition, match="EXPIRED cannot be cancelled") as refused:
        desk.cancel(permit.id)
    assert refused.value.allowed == ("APPLIED", "GRANTED")
    with pytest.raises(FailedPrecondition):
        desk.change(permit.id, days=(1, 9))


def test_an_application_whose_time_is_over_is_not_granted(desk: Desk):
    permit = desk.apply(days=(1, 3))
    desk.wait(days=3)

    with pytest.raises(FailedPrecondition, match="time that was applied for is over"):
        desk.grant(permit.id)

    assert desk.transport.asked == []


def test_a_refusal_names_the_states_in_which_it_would_be_allowed(desk: Desk):
    permit = desk.apply()

    with pytest.raises(FailedPrecondition, match="stands APPLIED cannot be changed") as refused:
        desk.change(permit.id)

    assert refused.value.allowed == ("GRANTED",)


def test_a_permit_there_never_was_is_not_found(desk: Desk):
    for ask in (desk.get, desk.grant, desk.change, desk.cancel):
        with pytest.raises(NotFound):
            ask("nobody")


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("segment_ids", {"kind": PERMIT_KIND_ROAD_WORKS, "segment_ids": []}),
        ("location", {"kind": PERMIT_KIND_ROAD_WORKS, "location": BEACH}),
        ("location", {"kind": PERMIT_KIND_DISCHARGE, "location": None}),
        ("until", {"days": (3, 3)}),
        ("until", {"days": (-3, 0)}),
    ],
)
def test_an_application_that_makes_no_sense_is_refused_by_field(desk: Desk, field: str, given: dict):
    with pytest.raises(InvalidArgument) as refused:
        desk.apply(**given)

    assert [violation.field for violation in refused.value.violations] == [field]
    assert desk.listed() == []


def test_a_change_has_to_make_sense_too(desk: Desk):
    permit = desk.grant(desk.apply().id)

    for given in ({"segment_ids": []}, {"days": (-2, -1)}):
        with pytest.raises(InvalidArgument):
            desk.change(permit.id, **given)


def test_the_request_id_of_another_application_is_taken(desk: Desk):
    """The runtime answers a caller's own repetition; two callers with one id meet here."""
    terms = {"kind": PERMIT_KIND_ROAD_WORKS, "title": "Thay ống nước", "segment_ids": KNOWN, "applicant_ref": "a"}
    request = v1.ApplyForPermitRequest(request_id="r", **terms, **times(1, 3))
    desk.service.apply_for_permit(request)

    with pytest.raises(AlreadyExists):
        desk.service.apply_for_permit(request)


def test_only_who_asks_for_one_permit_learns_the_applicant(desk: Desk):
    applied = desk.apply()
    answers = [applied, desk.grant(applied.id), desk.change(applied.id, days=(1, 4)), desk.cancel(applied.id)]
    answers += desk.service.list_permits(v1.ListPermitsRequest()).permits

    assert desk.get(applied.id).applicant_ref == "applicant-7"
    assert {permit.applicant_ref for permit in answers} == {""}


def test_permits_are_listed_by_page(desk: Desk):
    ids = sorted(desk.apply().id for _ in range(5))

    first = desk.service.list_permits(v1.ListPermitsRequest(page_size=3))
    second = desk.service.list_permits(v1.ListPermitsRequest(page_size=3, page_token=first.next_page_token))

    assert [permit.id for permit in (*first.permits, *second.permits)] == ids
    assert second.next_page_token == ""


def test_permits_are_listed_by_kind_state_segment_and_time(desk: Desk):
    applied = desk.apply(PERMIT_KIND_DISCHARGE).id
    over = desk.grant(desk.apply(days=(1, 3)).id).id
    holding = desk.grant(desk.apply(days=(2, 9), segment_ids=KNOWN).id).id
    gone = desk.grant(desk.apply(days=(2, 9)).id).id
    desk.cancel(gone)
    desk.wait(days=4)

    assert desk.listed(kind=PERMIT_KIND_DISCHARGE) == [applied]
    assert desk.listed(state=PERMIT_STATE_APPLIED) == [applied]
    assert desk.listed(state=PERMIT_STATE_GRANTED) == [holding]
    assert desk.listed(state=PERMIT_STATE_EXPIRED) == [over]
    assert desk.listed(state=PERMIT_STATE_CANCELLED) == [gone]
    assert desk.listed(segment_id="cau-rong") == [holding]
    assert desk.listed(active_at=after(2.5)) == sorted([over, holding])
    assert desk.listed(active_at=after(3)) == [holding]
    assert desk.listed(active_at=after(1.5), state=PERMIT_STATE_EXPIRED) == [over]
    assert desk.listed(active_at=after(2.5), state=PERMIT_STATE_GRANTED) == [holding]
    assert desk.listed(active_at=after(2.5), state=PERMIT_STATE_APPLIED) == []
