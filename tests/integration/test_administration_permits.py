"""Permits on real servers: transport is asked, others are told, and what makes no sense is refused."""

from __future__ import annotations

from datetime import timedelta

import grpc
import pytest

from lienthong.administration import v1
from lienthong.administration.v1 import PermitCancelled, PermitChanged, PermitGranted
from services.administration.service import AdministrationService
from tests.hosts import Home, detail_of
from tests.integration.town_office import APPLICANT, NOW, ROADS, Border, Gauges, Office, pages, refusal, rules_broken


@pytest.fixture
async def office(home: Home) -> Office:
    return await Office(home).open()


async def test_road_works_are_granted_once_transport_knows_the_road_changed_and_cancelled(office: Office) -> None:
    permit = await office.apply(segment_ids=ROADS[:1])

    granted = (await office.ask("GrantPermit", v1.GrantPermitRequest(permit_id=permit.id))).permit
    change = v1.ChangePermitRequest(permit_id=permit.id, segment_ids=ROADS, until=NOW + timedelta(days=3))
    getattr(change, "from").FromDatetime(NOW)
    changed = (await office.ask("ChangePermit", change)).permit
    cancelled = (await office.ask("CancelPermit", v1.CancelPermitRequest(permit_id=permit.id))).permit

    assert [p.revision for p in (permit, granted, changed, cancelled)] == [0, 1, 2, 3]
    told = office.events(PermitGranted, PermitChanged, PermitCancelled)
    assert [type(event) for event in told] == [PermitGranted, PermitChanged, PermitCancelled]
    assert [list(event.segment_ids) for event in told[:2]] == [["bach-dang"], list(ROADS)]


async def test_works_on_an_unknown_road_are_refused_by_its_name(office: Office) -> None:
    permit = await office.apply(segment_ids=["bach-dang", "atlantis"])

    error = await refusal(office.ask("GrantPermit", v1.GrantPermitRequest(permit_id=permit.id)))

    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "atlantis" in (error.details() or "")
    assert office.events(PermitGranted) == []


async def test_nothing_is_granted_while_transport_is_away(home: Home) -> None:
    office = await Office(home).open(AdministrationService, Gauges, Border)
    permit = await office.apply()

    error = await refusal(office.ask("GrantPermit", v1.GrantPermitRequest(permit_id=permit.id), within_s=3))

    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert (await office.ask("GetPermit", v1.GetPermitRequest(permit_id=permit.id))).permit.state == (
        v1.PERMIT_STATE_APPLIED
    )


async def test_a_permit_expires_by_the_clock(office: Office) -> None:
    permit = await office.apply()
    await office.ask("GrantPermit", v1.GrantPermitRequest(permit_id=permit.id))
    office.clock.advance(timedelta(days=2))

    error = await refusal(office.ask("CancelPermit", v1.CancelPermitRequest(permit_id=permit.id)))

    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert detail_of(error, "ErrorInfo").metadata["allowed"] == "APPLIED,GRANTED"
    request = v1.ListPermitsRequest(state=v1.PERMIT_STATE_EXPIRED)
    assert [p.id for p in (await office.ask("ListPermits", request)).permits] == [permit.id]


async def test_permits_are_found_by_segment_and_time_page_by_page(office: Office) -> None:
    here = [await office.apply(segment_ids=[segment]) for segment in ("cau-rong", *["bach-dang"] * 3)]
    for permit in here[1:]:
        await office.ask("GrantPermit", v1.GrantPermitRequest(permit_id=permit.id))

    request = v1.ListPermitsRequest(segment_id="bach-dang", page_size=2, active_at=NOW + timedelta(days=1))
    found = await pages(office, "ListPermits", request, "permits")

    assert [permit.id for permit in found] == sorted(permit.id for permit in here[1:])


async def test_the_same_request_again_gets_the_first_answer_also_when_it_would_now_be_refused(office: Office) -> None:
    first, again = [await office.apply(request_id="r") for _ in range(2)]
    other = await refusal(office.apply(request_id="r", title="Khác"))
    grant = v1.GrantPermitRequest(request_id="g", permit_id=first.id)
    granted, still = [await office.ask("GrantPermit", grant) for _ in range(2)]

    assert again == first
    assert still == granted
    assert len(office.events(PermitGranted)) == 1
    assert other.code() == grpc.StatusCode.ALREADY_EXISTS


async def test_an_application_is_refused_by_field_and_without_its_values(office: Office) -> None:
    error = await refusal(office.apply(segment_ids=["no such id!"], title="", until=NOW))
    crossed = await refusal(office.apply(kind=v1.PERMIT_KIND_PUBLIC_EVENT))

    assert rules_broken(error) == {"title": "REQUIRED", "segment_ids[0]": "PATTERN"}
    assert rules_broken(crossed) == {"location": "LOCATION"}
    assert "no such" not in (error.details() or "")
    assert office.home.database("administration")["permits"].count_documents({}) == 0


async def test_a_permit_there_never_was_is_not_found_and_named(office: Office) -> None:
    for method, request in {
        "GetPermit": v1.GetPermitRequest(permit_id="nobody"),
        "GrantPermit": v1.GrantPermitRequest(permit_id="nobody"),
        "CancelPermit": v1.CancelPermitRequest(permit_id="nobody"),
    }.items():
        error = await refusal(office.ask(method, request))
        assert error.code() == grpc.StatusCode.NOT_FOUND
        assert detail_of(error, "ResourceInfo").resource_name == "nobody"


async def test_the_applicant_is_in_no_event_and_in_no_list(office: Office) -> None:
    permit = await office.apply()
    await office.ask("GrantPermit", v1.GrantPermitRequest(permit_id=permit.id))
    listed = await office.ask("ListPermits", v1.ListPermitsRequest())
    kept = (await office.ask("GetPermit", v1.GetPermitRequest(permit_id=permit.id))).permit

    [granted] = office.home.log("administration")
    assert APPLICANT.encode() not in granted["data"] + listed.SerializeToString()
    assert kept.applicant_ref == APPLICANT
