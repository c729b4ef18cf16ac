"""Field reports on real servers: routed, rerouted, answered, and refused."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from lienthong.administration import v1
from lienthong.administration.v1 import FieldReportAnswered, FieldReportRouted
from lienthong.transport.v1 import ClearIncidentRequest, ListIncidentsRequest
from lienthong.transport.v1.transport_service_pb2_grpc import TransportServiceStub
from services.administration.service import AdministrationService
from services.transport.service import TransportService
from tests.hosts import Home, detail_of, eventually
from tests.integration.town_office import CITIZEN, Border, Gauges, Office, pages, refusal, rules_broken


@pytest.fixture
async def office(home: Home) -> Office:
    return await Office(home).open()


async def test_a_field_report_is_routed_rerouted_and_answered(office: Office) -> None:
    report = await office.file()
    reroute = v1.RerouteFieldReportRequest(report_id=report.id, sector=v1.SECTOR_ENVIRONMENT)
    await office.ask("RerouteFieldReport", reroute)
    said = v1.AnswerFieldReportRequest(report_id=report.id, sector=v1.SECTOR_ENVIRONMENT, answer="Đã dọn.")
    await office.ask("AnswerFieldReport", said)

    closed = (await office.ask("GetFieldReport", v1.GetFieldReportRequest(report_id=report.id))).report
    assert (closed.state, closed.answer, closed.contact) == (v1.FIELD_REPORT_STATE_ANSWERED, "Đã dọn.", CITIZEN)
    told = office.events(FieldReportRouted, FieldReportAnswered)
    assert [event.sector for event in told[:2]] == [v1.SECTOR_TRANSPORT, v1.SECTOR_ENVIRONMENT]
    assert told[2].answered_by == v1.SECTOR_ENVIRONMENT


async def test_the_same_answer_again_gets_the_first_reply(office: Office) -> None:
    """As transport gives it, whose handler may run again after it was answered."""
    report = await office.file()
    said = v1.AnswerFieldReportRequest(
        request_id="a", report_id=report.id, sector=v1.SECTOR_TRANSPORT, answer="Đã sửa."
    )

    first, again = [await office.ask("AnswerFieldReport", said) for _ in range(2)]

    assert again == first
    assert len(office.events(FieldReportAnswered)) == 1


async def test_a_sector_does_not_answer_for_another(office: Office) -> None:
    report = await office.file()
    said = v1.AnswerFieldReportRequest(report_id=report.id, sector=v1.SECTOR_HEALTH, answer="Không phải.")

    error = await refusal(office.ask("AnswerFieldReport", said))

    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "TRANSPORT" in (error.details() or "")


async def test_pages_of_field_reports_are_followed_to_their_end(office: Office) -> None:
    reports = [await office.file() for _ in range(5)]
    request = v1.ListFieldReportsRequest(sector=v1.SECTOR_TRANSPORT, page_size=2)

    found = await pages(office, "ListFieldReports", request, "reports")

    assert [report.id for report in found] == sorted(report.id for report in reports)


async def test_a_report_without_a_place_is_refused_and_its_words_are_not_repeated(office: Office) -> None:
    error = await refusal(office.file(location=None, contact=CITIZEN * 30))

    assert rules_broken(error) == {"location": "REQUIRED", "contact": "MAX_LEN"}
    assert CITIZEN not in (error.details() or "")


async def test_a_report_there_never_was_is_not_found_and_named(office: Office) -> None:
    for method, request in {
        "GetFieldReport": v1.GetFieldReportRequest(report_id="nobody"),
        "RerouteFieldReport": v1.RerouteFieldReportRequest(report_id="nobody", sector=v1.SECTOR_HEALTH),
    }.items():
        error = await refusal(office.ask(method, request))
        assert error.code() == grpc.StatusCode.NOT_FOUND
        assert detail_of(error, "ResourceInfo").resource_name == "nobody"


async def test_the_citizen_is_in_no_event_and_in_no_list(office: Office) -> None:
    await office.file()
    listed = await office.ask("ListFieldReports", v1.ListFieldReportsRequest())

    [routed] = office.home.log("administration")
    assert CITIZEN.encode() not in routed["data"] + listed.SerializeToString()


async def test_a_report_that_transport_clears_is_answered_with_what_was_done(home: Home) -> None:
    """The two sectors themselves: the report becomes an incident there, and its end an answer here."""
    office = await Office(home).open(AdministrationService, TransportService, Gauges, Border)
    await office.hears("transport")
    report = await office.file()

    async def incidents() -> list[Any]:
        return list((await office.call(TransportServiceStub, "ListIncidents", ListIncidentsRequest())).incidents)

    [incident] = await eventually(incidents)
    cleared = ClearIncidentRequest(request_id="c", incident_id=incident.id, resolution="Đã vá đường.")
    await office.call(TransportServiceStub, "ClearIncident", cleared)

    [told] = await eventually(lambda: office.events(FieldReportAnswered))
    closed = (await office.ask("GetFieldReport", v1.GetFieldReportRequest(report_id=report.id))).report
    assert told.report_id == report.id
    assert (closed.answer, closed.answered_by) == ("Đã vá đường.", v1.SECTOR_TRANSPORT)
