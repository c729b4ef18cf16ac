"""Notices, permits and field reports over the wire, on real servers, with what environment and transport say."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from lienthong.administration import v1
from lienthong.administration.v1 import (
    FieldReportAnswered,
    FieldReportRouted,
    NoticePublished,
    NoticeUpdated,
    NoticeWithdrawn,
    PermitCancelled,
    PermitChanged,
    PermitGranted,
)
from lienthong.administration.v1.administration_service_pb2_grpc import AdministrationServiceStub
from lienthong.environment.v1 import (
    BAND_BAD,
    FLOOD_LEVEL_I,
    FLOOD_LEVEL_II,
    FLOOD_LEVEL_III,
    FLOOD_LIFT_REASON_STAGE_BELOW,
    LIFT_REASON_INDEX_BELOW,
    AirQualityAlertLifted,
    AirQualityAlertRaised,
    FloodAlarmEscalated,
    FloodAlarmLifted,
    FloodAlarmLowered,
    FloodAlarmRaised,
    Location,
)
from lienthong.exchange.v1 import ListQuarantineRequest, ListQuarantineResponse
from lienthong.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from lienthong.mesh.v1 import RetryDeadLetterRequest
from lienthong.transport.v1 import GetRoadSegmentsRequest, GetRoadSegmentsResponse, RoadSegment
from mesh import localities, rpc, subscribe
from mesh.contracts import service_descriptor
from mesh.errors import Unimplemented
from mesh.events import new_event, source_of
from mesh.rpc import snake_case
from mesh.subscribe import ANY
from mesh.testing import ManualClock
from services.administration.documents_notices import notice_id
from services.administration.service import AdministrationService
from services.exchange.service import ExchangeService
from tests.hosts import Home, detail_of, eventually, record_request
from tests.trial.contract import RecordResponse
from tests.trial.services import TrialService

NOW = datetime(2026, 11, 9, 2, tzinfo=UTC)
PLACE = Location(latitude=15.88, longitude=108.11)
ROADS = ("bach-dang", "cau-rong")
STREET = v1.Location(latitude=16.07, longitude=108.22)
CITIZEN, APPLICANT = "0905 000 111", "applicant-7"


class Gauges(TrialService):
    """Stands where the environment sector does, and emits what the test says."""

    name = "environment"
    said: list[Message] = []

    @rpc
    def record(self, request: Any) -> Any:
        for message in self.said:
            self.emit(message)
        return RecordResponse(request_id=request.request_id)


class Border(ExchangeService):
    """An exchange that logs what the test has a peer say."""

    said: list[Any] = []

    @rpc
    def list_quarantine(self, request: ListQuarantineRequest) -> ListQuarantineResponse:
        for event in self.said:
            self.emit.forward(event, line=event.line)
        return ListQuarantineResponse()


def roads() -> type[Any]:
    """Stands where the transport sector does, and knows two road segments."""

    @rpc
    def refuse(self: Any, request: Message) -> Message:
        raise Unimplemented("nobody asks this here")

    @rpc
    def answer(self: Any, request: GetRoadSegmentsRequest) -> GetRoadSegmentsResponse:
        known = [RoadSegment(id=id) for id in request.segment_ids if id in ROADS]
        return GetRoadSegmentsResponse(segments=known, missing=[id for id in request.segment_ids if id not in ROADS])

    contract = service_descriptor("lienthong.transport.v1.TransportService")
    methods = {snake_case(method.name): refuse for method in contract.methods}
    return type("TransportService", (), {"name": "transport", **methods, "get_road_segments": answer})


class Office:
    """The administration of one locality as its clerks and its public see it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.clock = ManualClock(NOW)
        self.peer = localities.of_slug("hue" if home.locality != "hue" else "da-nang")
        self._born = itertools.count(1)

    async def open(self, *services: type[Any], **settings: Any) -> Office:
        wanted = services or (AdministrationService, Gauges, Border, roads())
        self.host = await self.home.start(*wanted, clock=self.clock, **settings)
        await eventually(lambda: all(flow.started_at for flow in self.host.containers["administration"].flows))
        return self

    async def ask(self, method: str, request: Message, *, within_s: float = 20) -> Any:
        if "request_id" in request.DESCRIPTOR.fields_by_name and not request.request_id:
            request.request_id = uuid.uuid4().hex
        return await self._call(AdministrationServiceStub, method, request, within_s)

    async def hear(self, *messages: Message) -> None:
        """Lets the environment sector here emit these, in this order."""
        Gauges.said = list(messages)
        trial = self.home.trial(self.host)
        await trial.stub.Record(record_request(), metadata=trial.metadata, timeout=20)

    async def hear_from_peer(self, *messages: Message) -> None:
        """Lets the exchange log these as the peer's, in this order."""
        source = source_of(self.peer.slug, "environment")
        events = [(new_event(message, source=source, time=NOW), next(self._born)) for message in messages]
        Border.said = [replace(event, origin_sequence=born, key_revision=born) for event, born in events]
        await self._call(ExchangeServiceStub, "ListQuarantine", ListQuarantineRequest())

    def events(self, *kinds: type[Message]) -> list[Any]:
        """Logged events of these types, in order."""
        by_name = {kind.DESCRIPTOR.full_name: kind for kind in kinds}
        logged = self.home.log("administration")
        return [
            by_name[name].FromString(raw["data"]) for raw in logged if (name := raw["headers"]["ce-type"]) in by_name
        ]

    def told(self) -> list[str]:
        """What became of notices, as `Published`."""
        found = self.events(NoticePublished, NoticeUpdated, NoticeWithdrawn)
        return [type(event).__name__.removeprefix("Notice") for event in found]

    async def notices(self, **wanted: Any) -> list[v1.Notice]:
        return list((await self.ask("ListNotices", v1.ListNoticesRequest(**wanted))).notices)

    async def apply(self, **given: Any) -> v1.Permit:
        terms = {"kind": v1.PERMIT_KIND_ROAD_WORKS, "title": "Thay ống nước", "applicant_ref": APPLICANT}
        terms |= {"segment_ids": ROADS, "from": NOW, "until": NOW + timedelta(days=2), **given}
        return (await self.ask("ApplyForPermit", v1.ApplyForPermitRequest(**terms))).permit

    async def file(self, **given: Any) -> v1.FieldReport:
        said = {"category": v1.REPORT_CATEGORY_ROAD_DAMAGE, "location": STREET, "description": "Ổ gà"}
        return (
            await self.ask("FileFieldReport", v1.FileFieldReportRequest(**{**said, "contact": CITIZEN, **given}))
        ).report

    async def _call(self, stub: type[Any], method: str, request: Message, within_s: float = 20) -> Any:
        metadata = [("authorization", f"Bearer {self.home.token('*')}")]
        return await getattr(stub(self.home.channel(self.host)), method)(request, metadata=metadata, timeout=within_s)


@pytest.fixture
async def office(home: Home) -> Office:
    return await Office(home).open()


def alarm(kind: type[Message], when: str, level: int, station: str = "ai-nghia") -> Message:
    said = {"station_id": station, "station_name": "Ái Nghĩa", "river": "Vu Gia", "location": PLACE, "reach_m": 5000}
    return kind(level=level, stage_m=6 + level, **{when: NOW}, **said)


RAISED = alarm(FloodAlarmRaised, "raised_at", FLOOD_LEVEL_I)
ESCALATED = alarm(FloodAlarmEscalated, "escalated_at", FLOOD_LEVEL_III)
LOWERED = alarm(FloodAlarmLowered, "lowered_at", FLOOD_LEVEL_II)
LIFTED = FloodAlarmLifted(station_id="ai-nghia", lifted_at=NOW, reason=FLOOD_LIFT_REASON_STAGE_BELOW)


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value


# --- notices --------------------------------------------------------------------------------------------------------


async def test_a_flood_here_is_one_notice_from_its_beginning_to_its_end(office: Office) -> None:
    await office.hear(RAISED, ESCALATED, LOWERED)
    await eventually(lambda: len(office.told()) == 3)
    [standing] = await office.notices(state=v1.NOTICE_STATE_PUBLISHED)

    await office.hear(LIFTED)
    await eventually(lambda: len(office.told()) == 4)

    assert office.told() == ["Published", "Updated", "Updated", "Withdrawn"]
    assert standing.id == notice_id(office.home.locality, "environment/flood_alarm", "ai-nghia")
    assert standing.headline == "Báo động lũ cấp II tại Ái Nghĩa (sông Vu Gia)"
    notice = (await office.ask("GetNotice", v1.GetNoticeRequest(notice_id=standing.id))).notice
    assert (notice.state, notice.revision) == (v1.NOTICE_STATE_WITHDRAWN, 4)
    logged = office.home.log("environment")
    assert notice.causation_id == logged[-1]["headers"]["ce-id"]


async def test_a_flood_of_a_peer_is_told_and_withdrawn_here(office: Office) -> None:
    await office.hear_from_peer(RAISED, ESCALATED)
    await eventually(lambda: len(office.told()) == 2)

    [notice] = await office.notices(origin=office.peer.slug)
    assert notice.headline == f"Ái Nghĩa (sông Vu Gia), {office.peer.name}: báo động lũ cấp III"
    await office.hear_from_peer(LOWERED, LIFTED)
    await eventually(lambda: len(office.told()) == 4)
    assert office.told() == ["Published", "Updated", "Updated", "Withdrawn"]
    assert await office.notices(state=v1.NOTICE_STATE_PUBLISHED) == []


async def test_bad_air_is_told_here_and_that_of_a_peer_is_not(office: Office) -> None:
    bad = AirQualityAlertRaised(
        station_id="hung-vuong", station_name="Hùng Vương", band=BAND_BAD, index=180, raised_at=NOW
    )
    good = AirQualityAlertLifted(station_id="hung-vuong", lifted_at=NOW, reason=LIFT_REASON_INDEX_BELOW)

    await office.hear_from_peer(bad, RAISED)
    await office.hear(bad, good)
    await eventually(lambda: len(office.told()) == 3)

    assert sorted(office.told()) == ["Published", "Published", "Withdrawn"]
    assert [n.happening.origin for n in await office.notices(kind=v1.NOTICE_KIND_BAD_AIR)] == [office.home.locality]


async def test_a_notice_whose_event_failed_is_right_once_the_dead_letter_is_retried(home: Home) -> None:
    """Later events of the station wait behind the letter, and are told after it, in order."""
    ills = ["ill"]

    class Ill(AdministrationService):
        @subscribe(FloodAlarmEscalated, origin=ANY)
        def tell_of_higher_flood(self, alarm: Any, event: Any) -> None:
            if ills:
                raise ValueError(ills[0])
            super().tell_of_higher_flood(alarm, event)

    office = await Office(home).open(Ill, Gauges, Border, runtime={"handler_attempts": 2})
    await office.hear(RAISED, ESCALATED, LOWERED)
    letters = await eventually(lambda: found if len(found := home.letters("administration")) == 2 else None)
    [before] = await office.notices()

    ills.clear()
    request = RetryDeadLetterRequest(service="administration", id=letters[0]["_id"])
    await home.node(office.host)("RetryDeadLetter", request)
    await eventually(lambda: len(office.told()) == 3)

    [after] = await office.notices()
    assert (before.severity, after.severity) == (v1.NOTICE_SEVERITY_INFO, v1.NOTICE_SEVERITY_WARNING)
    assert office.told() == ["Published", "Updated", "Updated"]


async def test_pages_of_notices_are_followed_to_their_end(office: Office) -> None:
    stations = [f"s{i}" for i in range(5)]
    await office.hear(*(alarm(FloodAlarmRaised, "raised_at", FLOOD_LEVEL_I, station) for station in stations))
    await eventually(lambda: len(office.told()) == 5)

    found = await pages(office, "ListNotices", v1.ListNoticesRequest(page_size=2), "notices")

    assert sorted(notice.happening.key for notice in found) == stations


async def pages(office: Office, method: str, request: Any, field: str) -> list[Any]:
    found: list[Any] = []
    while True:
        page = await office.ask(method, request)
        found += getattr(page, field)
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return found


# --- permits --------------------------------------------------------------------------------------------------------


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


async def test_an_application_is_refused_by_field_and_without_its_values(office: Office) -> None:
    error = await refusal(office.apply(segment_ids=["no such id!"], title="", until=NOW))
    crossed = await refusal(office.apply(kind=v1.PERMIT_KIND_PUBLIC_EVENT))

    assert rules_broken(error) == {"title": "REQUIRED", "segment_ids[0]": "PATTERN"}
    assert rules_broken(crossed) == {"location": "LOCATION"}
    assert "no such" not in (error.details() or "")
    assert office.home.database("administration")["permits"].count_documents({}) == 0


def rules_broken(error: grpc.aio.AioRpcError) -> dict[str, str]:
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    return {row.field: row.reason for row in detail_of(error, "BadRequest").field_violations}


# --- field reports --------------------------------------------------------------------------------------------------


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


async def test_what_is_unknown_is_not_found_and_named(office: Office) -> None:
    for method, request in {
        "GetPermit": v1.GetPermitRequest(permit_id="nobody"),
        "GetFieldReport": v1.GetFieldReportRequest(report_id="nobody"),
        "GetNotice": v1.GetNoticeRequest(notice_id="nobody"),
        "GrantPermit": v1.GrantPermitRequest(permit_id="nobody"),
        "RerouteFieldReport": v1.RerouteFieldReportRequest(report_id="nobody", sector=v1.SECTOR_HEALTH),
    }.items():
        error = await refusal(office.ask(method, request))
        assert error.code() == grpc.StatusCode.NOT_FOUND
        assert detail_of(error, "ResourceInfo").resource_name == "nobody"


async def test_a_report_without_a_place_is_refused_and_its_words_are_not_repeated(office: Office) -> None:
    error = await refusal(office.file(location=None, contact=CITIZEN * 30))

    assert rules_broken(error) == {"location": "REQUIRED", "contact": "MAX_LEN"}
    assert CITIZEN not in (error.details() or "")


async def test_nothing_personal_is_in_the_log_or_in_a_list(office: Office) -> None:
    permit = await office.apply()
    await office.ask("GrantPermit", v1.GrantPermitRequest(permit_id=permit.id))
    await office.file()

    listed = [await office.ask("ListPermits", v1.ListPermitsRequest())]
    listed.append(await office.ask("ListFieldReports", v1.ListFieldReportsRequest()))
    logged = [raw["data"] for raw in office.home.log("administration")]
    assert len(logged) == 2
    for payload in (*logged, *(page.SerializeToString() for page in listed)):
        assert CITIZEN.encode() not in payload
        assert APPLICANT.encode() not in payload
