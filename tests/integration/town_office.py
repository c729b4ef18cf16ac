"""The administration of one locality on real servers, and stand-ins for environment, transport and a peer's events."""

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
from lienthong.administration.v1 import NoticePublished, NoticeUpdated, NoticeWithdrawn
from lienthong.administration.v1.administration_service_pb2_grpc import AdministrationServiceStub
from lienthong.exchange.v1 import ListQuarantineRequest, ListQuarantineResponse
from lienthong.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from lienthong.transport.v1 import GetRoadSegmentsRequest, GetRoadSegmentsResponse, RoadSegment
from mesh import localities, rpc
from mesh.contracts import service_descriptor
from mesh.errors import Unimplemented
from mesh.events import new_event, source_of
from mesh.rpc import snake_case
from mesh.testing import ManualClock
from services.administration.service import AdministrationService
from services.exchange.service import ExchangeService
from tests.hosts import Home, detail_of, eventually, record_request
from tests.trial.contract import RecordResponse
from tests.trial.services import TrialService

NOW = datetime(2026, 11, 9, 2, tzinfo=UTC)
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
        await self.hears("administration")
        return self

    async def hears(self, service: str) -> None:
        """Returns when the subscriptions of a service have begun."""
        await eventually(lambda: all(flow.started_at for flow in self.host.containers[service].flows))

    async def ask(self, method: str, request: Message, *, within_s: float = 20) -> Any:
        if "request_id" in request.DESCRIPTOR.fields_by_name and not request.request_id:
            request.request_id = uuid.uuid4().hex
        return await self.call(AdministrationServiceStub, method, request, within_s)

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
        await self.call(ExchangeServiceStub, "ListQuarantine", ListQuarantineRequest())

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

    async def call(self, stub: type[Any], method: str, request: Message, within_s: float = 20) -> Any:
        metadata = [("authorization", f"Bearer {self.home.token('*')}")]
        return await getattr(stub(self.home.channel(self.host)), method)(request, metadata=metadata, timeout=within_s)


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value


async def pages(office: Office, method: str, request: Any, field: str) -> list[Any]:
    found: list[Any] = []
    while True:
        page = await office.ask(method, request)
        found += getattr(page, field)
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return found


def rules_broken(error: grpc.aio.AioRpcError) -> dict[str, str]:
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    return {row.field: row.reason for row in detail_of(error, "BadRequest").field_violations}
