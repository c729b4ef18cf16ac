"""Roads on real MongoDB and NATS: every RPC, everything they follow, and what they refuse."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from mongoengine import StringField

from lienthong.administration import v1 as administration
from lienthong.environment import v1 as environment
from lienthong.transport import v1
from lienthong.transport.v1.transport_service_pb2_grpc import TransportServiceStub
from mesh import Document, Emit, Store, every, localities, rpc
from mesh.contracts import contract_name, service_descriptor
from mesh.errors import FailedPrecondition, Unimplemented
from mesh.events import catalogue
from mesh.host import Host
from mesh.rpc import snake_case
from mesh.testing import ManualClock
from services.transport.service import TransportService
from tests.hosts import Home, detail_of, eventually

GAUGE = v1.Location(latitude=15.88, longitude=108.11)
NOW = datetime.now(UTC).replace(microsecond=0)
TOLD: dict[str, Message] = {}
"""What the stand-ins emit, by the name they are asked for it."""


class Answer(Document):
    """An answer that the stand-in for administration was given."""

    id = StringField(primary_key=True)
    answer = StringField()
    meta = {"collection": "answers"}


def stand_in(name: str, **methods: Callable[[Any, Any], Any]) -> type[Any]:
    """A service that fulfils the contract of a sector by these methods, and answers nothing else."""

    def unimplemented(self: Any, request: Any) -> Any:
        raise Unimplemented("a stand-in does not do this")

    def named(method: str) -> Callable[[Any, Any], Any]:
        function = methods.get(method, unimplemented)
        copy = type(function)(function.__code__, function.__globals__, method, None, function.__closure__)
        return rpc(copy)

    contract = service_descriptor(contract_name(name))
    rpcs = {snake: named(snake) for snake in (snake_case(method.name) for method in contract.methods)}
    return type(name, (), {"name": name, "store": Store(), "emit": Emit(), "__module__": __name__, **rpcs})


def _tell_of_station(self: Any, request: environment.LiftFloodAlarmRequest) -> environment.LiftFloodAlarmResponse:
    self.emit(TOLD[request.station_id])
    return environment.LiftFloodAlarmResponse()


def _tell_of_permit(self: Any, request: administration.CancelPermitRequest) -> administration.CancelPermitResponse:
    self.emit(TOLD[request.permit_id])
    return administration.CancelPermitResponse()


def _answer(self: Any, request: administration.AnswerFieldReportRequest) -> administration.AnswerFieldReportResponse:
    if request.report_id == "elsewhere":
        raise FailedPrecondition("the report is with ENVIRONMENT", allowed=("ENVIRONMENT",))
    self.store.get(Answer, request.report_id)
    self.store.put(Answer(id=request.report_id, answer=request.answer))
    return administration.AnswerFieldReportResponse()


Environment = stand_in("environment", lift_flood_alarm=_tell_of_station)
Administration = stand_in("administration", cancel_permit=_tell_of_permit, answer_field_report=_answer)


@dataclass
class Roads:
    """A process with transport and its stand-ins, as a caller with every scope sees it."""

    home: Home
    host: Host

    async def ask(self, method: str, *, token: str | None = None, **fields: Any) -> Any:
        """Answer of an RPC; writes get a `request_id` of their own unless told otherwise."""
        request_type = getattr(v1, f"{method}Request")
        if "request_id" in request_type.DESCRIPTOR.fields_by_name:
            fields.setdefault("request_id", uuid.uuid4().hex)
        stub = TransportServiceStub(self.home.channel(self.host))
        return await getattr(stub, method)(request_type(**fields), metadata=self._metadata(token), timeout=20)

    async def refused(self, method: str, **fields: Any) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self.ask(method, **fields)
        return refused.value

    async def stream(self, *requests: v1.StreamCongestionRequest) -> list[v1.StreamCongestionResponse]:
        stub = TransportServiceStub(self.home.channel(self.host))
        answers = stub.StreamCongestion(iter(requests), metadata=self._metadata(None), timeout=20)
        return [answer async for answer in answers]

    async def told(self, message: Message) -> None:
        """Another sector tells this."""
        name = uuid.uuid4().hex
        TOLD[name] = message
        sector = catalogue().of(type(message)).sector
        method, field = {
            "environment": ("LiftFloodAlarm", "station_id"),
            "administration": ("CancelPermit", "permit_id"),
        }[sector]
        package = {"environment": environment, "administration": administration}[sector]
        request = getattr(package, f"{method}Request")(request_id=name, **{field: name})
        call = self.home.channel(self.host).unary_unary(
            f"/{contract_name(sector)}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=getattr(package, f"{method}Response").FromString,
        )
        await call(request, metadata=self._metadata(None), timeout=20)

    async def put(self, id: str, east: float = 0.0, *, flood_prone: bool = True) -> v1.RoadSegment:
        """A segment that begins so many degrees east of the gauge."""
        points = [
            v1.Location(latitude=GAUGE.latitude, longitude=GAUGE.longitude + moved) for moved in (east, east + 0.001)
        ]
        given = v1.RoadSegment(id=id, name=f"Đường {id}", line=v1.LineString(points=points), flood_prone=flood_prone)
        return (await self.ask("PutRoadSegment", segment=given)).segment

    async def standing(self, topic: str = "") -> list[v1.RoadRestriction]:
        imposed = v1.RESTRICTION_STATE_IMPOSED
        return list((await self.ask("ListRestrictions", state=imposed, cause_topic=topic)).restrictions)

    async def stands(self, effect: int) -> v1.RoadRestriction:
        """The one restriction that stands, once it has this effect."""

        async def found() -> Any:
            standing = await self.standing()
            return len(standing) == 1 and standing[0].effect == effect and standing[0]

        return await eventually(found)

    async def nothing_stands(self) -> None:
        async def free() -> bool:
            return not await self.standing()

        await eventually(free)

    def emitted(self) -> list[str]:
        """Short names of the sector's events about restrictions."""
        types = (raw["headers"]["ce-type"].rpartition(".")[2] for raw in self.home.log("transport"))
        return [name.removeprefix("RoadRestriction") for name in types if name.startswith("RoadRestriction")]

    def _metadata(self, token: str | None) -> list[tuple[str, str]]:
        token = self.home.token("*") if token is None else token
        return [("authorization", f"Bearer {token}")] if token else []


@pytest.fixture
async def roads(home: Home) -> AsyncIterator[Roads]:
    yield Roads(home, await home.start(TransportService, Environment, Administration))
    TOLD.clear()


def at(hours: float) -> Timestamp:
    """A time, in hours from now."""
    time = Timestamp()
    time.FromDatetime(NOW + timedelta(hours=hours))
    return time


def flood(kind: Any, level: int, told_at: str) -> Any:
    location = environment.Location(latitude=GAUGE.latitude, longitude=GAUGE.longitude)
    return kind(station_id="ai-nghia", level=level, stage_m=9, location=location, reach_m=5000, **{told_at: at(-1)})


def air(band: int) -> environment.AirQualityAlertRaised:
    location = environment.Location(latitude=GAUGE.latitude, longitude=GAUGE.longitude)
    return environment.AirQualityAlertRaised(
        station_id="s1", band=band, index=40 * band, raised_at=at(-1), location=location
    )


def permit(kind: Any, *segments: str, hours: float, **given: Any) -> Any:
    times = {"from": at(-1), "until": at(hours)}
    purpose = administration.PERMIT_KIND_ROAD_WORKS
    return kind(permit_id="p1", kind=purpose, segment_ids=segments, revision=1, **times, **given)


def incident(**given: Any) -> dict[str, Any]:
    return {
        "cause": v1.CAUSE_ACCIDENT,
        "effect": v1.EFFECT_REDUCED_SERVICE,
        "location": GAUGE,
        "segment_ids": ["low"],
        **given,
    }


# --- segments ---------------------------------------------------------------------------------------------------


async def test_segments_are_put_got_listed_and_found_by_place(roads: Roads) -> None:
    near, away = await roads.put("near"), await roads.put("away", 0.5, flood_prone=False)

    circle = v1.Circle(center=GAUGE, radius_m=2000)
    several = await roads.ask("GetRoadSegments", segment_ids=["near", "none", "away"])

    assert (await roads.ask("GetRoadSegment", segment_id="near")).segment == near
    assert (list(several.segments), list(several.missing)) == ([away, near], ["none"])
    assert list((await roads.ask("ListRoadSegments")).segments) == [away, near]
    assert list((await roads.ask("ListRoadSegments", flood_prone_only=True)).segments) == [near]
    assert list((await roads.ask("FindRoadSegments", within=circle)).segments) == [near]


@pytest.mark.parametrize("method", ["ListRoadSegments", "FindRoadSegments"])
async def test_segments_come_by_page(roads: Roads, method: str) -> None:
    for n in range(5):
        await roads.put(f"s{n}")
    where = {"within": v1.Circle(center=GAUGE, radius_m=500)} if method == "FindRoadSegments" else {}

    first = await roads.ask(method, page_size=3, **where)
    second = await roads.ask(method, page_size=3, page_token=first.next_page_token, **where)

    assert [one.id for one in first.segments] == ["s0", "s1", "s2"]
    assert ([one.id for one in second.segments], second.next_page_token) == (["s3", "s4"], "")


async def test_a_line_that_is_none_is_refused_and_spoils_no_other_write(roads: Roads) -> None:
    point = v1.LineString(points=[GAUGE, GAUGE])

    error = await roads.refused("PutRoadSegment", segment=v1.RoadSegment(id="point", name="Điểm", line=point))

    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert [row.field for row in detail_of(error, "BadRequest").field_violations] == ["segment.line.points"]
    assert (await roads.refused("GetRoadSegment", segment_id="point")).code() == grpc.StatusCode.NOT_FOUND


# --- what every write and read owes -----------------------------------------------------------------------------


async def test_the_same_request_again_has_the_first_answer_and_with_other_content_none(roads: Roads) -> None:
    await roads.put("low")
    request = {"request_id": "once", **incident()}

    first, again = await roads.ask("ReportIncident", **request), await roads.ask("ReportIncident", **request)
    other = await roads.refused("ReportIncident", **request | {"cause": v1.CAUSE_WEATHER})

    assert first == again
    assert other.code() == grpc.StatusCode.ALREADY_EXISTS
    assert len((await roads.ask("ListIncidents")).incidents) == 1


async def test_a_repeated_end_has_the_first_answer_although_it_is_over(roads: Roads) -> None:
    await roads.put("low")
    id = (await roads.ask("ReportIncident", **incident())).incident.id
    request = {"request_id": "once", "incident_id": id, "resolution": "Đã kéo xe đi."}

    assert await roads.ask("ClearIncident", **request) == await roads.ask("ClearIncident", **request)


async def test_invalid_fields_are_named_and_nothing_is_written(roads: Roads) -> None:
    error = await roads.refused("ReportIncident", request_id="", location=v1.Location(latitude=91))

    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    fields = {row.field for row in detail_of(error, "BadRequest").field_violations}
    assert fields == {"request_id", "cause", "effect", "location.latitude"}
    assert roads.home.log("transport") == []


async def test_a_caller_needs_a_token_with_the_scope(roads: Roads) -> None:
    reader = roads.home.token("transport.read")

    stranger = await roads.refused("ListRestrictions", token="")
    writer = await roads.refused("LiftRestriction", token=reader, restriction_id="r")

    assert stranger.code() == grpc.StatusCode.UNAUTHENTICATED
    assert writer.code() == grpc.StatusCode.PERMISSION_DENIED
    assert detail_of(writer, "ErrorInfo").metadata["scope"] == "transport.restrict"
    assert (await roads.ask("ListRestrictions", token=reader)).next_page_token == ""


# --- congestion -------------------------------------------------------------------------------------------------


def sample(roads: Roads, hours_ago: int, congestion: float = 0.5) -> v1.Congestion:
    code = localities.of_slug(roads.home.locality).code
    hour = Timestamp(seconds=int(NOW.timestamp()) // 3600 * 3600 - 3600 * hours_ago)
    return v1.Congestion(province_code=code, hour=hour, congestion=congestion, samples=9, coverage=1)


async def test_congestion_is_recorded_row_by_row_and_listed_oldest_first_by_page(roads: Roads) -> None:
    rows = [sample(roads, hours_ago) for hours_ago in (1, 2, 3, 3)]

    outcome = (await roads.ask("RecordCongestion", samples=[*rows, sample(roads, 4, 1.5)])).outcome
    first = await roads.ask("ListCongestion", page_size=2)
    second = await roads.ask("ListCongestion", page_size=2, page_token=first.next_page_token)

    assert (outcome.rows, outcome.accepted, outcome.duplicate) == (5, 3, 1)
    assert [(row.index, row.field, row.rule) for row in outcome.rejected] == [(4, "congestion", "lte")]
    assert [*first.samples, *second.samples] == [rows[2], rows[1], rows[0]]
    assert second.next_page_token == ""


async def test_congestion_on_a_stream_is_answered_batch_by_batch(roads: Roads) -> None:
    batches = [v1.StreamCongestionRequest(request_id=f"b{n}", samples=[sample(roads, n + 1)]) for n in range(3)]

    answers = await roads.stream(*batches, batches[0])

    assert [(answer.request_id, answer.outcome.accepted) for answer in answers] == [
        ("b0", 1),
        ("b1", 1),
        ("b2", 1),
        ("b0", 1),
    ]
    assert len((await roads.ask("ListCongestion")).samples) == 3


# --- incidents and restrictions by hand -------------------------------------------------------------------------


async def test_an_incident_restricts_its_segments_until_it_is_cleared(roads: Roads) -> None:
    await roads.put("low")

    id = (await roads.ask("ReportIncident", **incident(description="Ông A"))).incident.id
    imposed = await roads.stands(v1.EFFECT_REDUCED_SERVICE)
    await roads.ask("UpdateIncident", incident_id=id, **incident(effect=v1.EFFECT_NO_SERVICE))
    await roads.stands(v1.EFFECT_NO_SERVICE)
    await roads.ask("ClearIncident", incident_id=id)
    await roads.nothing_stands()

    assert (imposed.caused_by.topic, imposed.caused_by.key) == ("transport/incident", id)
    assert roads.emitted() == ["Imposed", "Changed", "Lifted"]
    assert not any("Ông A".encode() in raw["data"] for raw in roads.home.log("transport"))
    assert (await roads.ask("GetIncident", incident_id=id)).incident.state == v1.INCIDENT_STATE_CLEARED
    late = await roads.refused("UpdateIncident", incident_id=id, **incident())
    assert late.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert detail_of(late, "ErrorInfo").metadata["allowed"] == "REPORTED"


async def test_a_restriction_by_hand_is_imposed_changed_and_lifted(roads: Roads) -> None:
    await roads.put("low")
    terms = {"effect": v1.EFFECT_DETOUR, "segment_ids": ["low"]}

    id = (await roads.ask("ImposeRestriction", cause=v1.CAUSE_HOLIDAY, **terms)).restriction.id
    await roads.ask("ChangeRestriction", restriction_id=id, **terms | {"effect": v1.EFFECT_NO_SERVICE}, until=at(5))
    lifted = (await roads.ask("LiftRestriction", restriction_id=id)).restriction

    assert (await roads.ask("GetRestriction", restriction_id=id)).restriction == lifted
    assert (lifted.state, lifted.effect, lifted.revision) == (v1.RESTRICTION_STATE_LIFTED, v1.EFFECT_NO_SERVICE, 3)
    assert roads.emitted() == ["Imposed", "Changed", "Lifted"]
    again = await roads.refused("LiftRestriction", restriction_id=id)
    assert again.code() == grpc.StatusCode.FAILED_PRECONDITION
    nowhere = await roads.refused("ImposeRestriction", cause=v1.CAUSE_HOLIDAY, effect=1, segment_ids=["nowhere"])
    assert nowhere.code() == grpc.StatusCode.NOT_FOUND


async def test_restrictions_and_incidents_come_by_page_and_filter(roads: Roads) -> None:
    await roads.put("low")
    for _ in range(3):
        await roads.ask("ImposeRestriction", cause=v1.CAUSE_HOLIDAY, effect=v1.EFFECT_DETOUR, segment_ids=["low"])
        await roads.ask("ReportIncident", **incident(effect=v1.EFFECT_NO_EFFECT))

    for method, field in (("ListRestrictions", "restrictions"), ("ListIncidents", "incidents")):
        first = await roads.ask(method, page_size=2, segment_id="low")
        second = await roads.ask(method, page_size=2, segment_id="low", page_token=first.next_page_token)
        ids = [one.id for page in (first, second) for one in getattr(page, field)]
        assert (len(ids), ids) == (3, sorted(ids))
    assert len((await roads.ask("ListRestrictions", active_at=at(1), effect=v1.EFFECT_DETOUR)).restrictions) == 3
    assert len((await roads.ask("ListRestrictions", active_at=at(-1))).restrictions) == 0


# --- what roads follow ------------------------------------------------------------------------------------------


async def test_a_flood_warns_closes_and_frees_the_roads_it_reaches(roads: Roads) -> None:
    await roads.put("low")
    await roads.put("high", flood_prone=False)
    await roads.put("remote", 0.5)

    await roads.told(flood(environment.FloodAlarmRaised, 1, "raised_at"))
    warned = await roads.stands(v1.EFFECT_SIGNIFICANT_DELAYS)
    await roads.told(flood(environment.FloodAlarmEscalated, 3, "escalated_at"))
    closed = await roads.stands(v1.EFFECT_NO_SERVICE)
    by_hand = await roads.refused("LiftRestriction", restriction_id=closed.id)
    await roads.told(flood(environment.FloodAlarmLowered, 2, "lowered_at"))
    await roads.stands(v1.EFFECT_SIGNIFICANT_DELAYS)
    await roads.told(environment.FloodAlarmLifted(station_id="ai-nghia", lifted_at=at(0), reason=1))
    await roads.nothing_stands()

    assert warned.id == closed.id
    assert [one.id for one in closed.segments] == ["low"]
    assert by_hand.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "flood_alarm/ai-nghia" in by_hand.details()
    assert roads.emitted() == ["Imposed", "Changed", "Changed", "Lifted"]


async def test_bad_air_keeps_heavy_trucks_out_while_it_lasts(roads: Roads) -> None:
    await roads.put("low", flood_prone=False)

    await roads.told(air(environment.BAND_POOR))
    await roads.told(air(environment.BAND_BAD))
    restriction = await roads.stands(v1.EFFECT_REDUCED_SERVICE)
    await roads.told(environment.AirQualityAlertLifted(station_id="s1", lifted_at=at(0), reason=1))
    await roads.nothing_stands()

    assert list(restriction.vehicle_classes) == [v1.VEHICLE_CLASS_HEAVY_TRUCK]
    assert roads.emitted() == ["Imposed", "Lifted"]


async def test_road_works_restrict_their_segments_until_they_are_cancelled(roads: Roads) -> None:
    await roads.put("low")

    await roads.told(permit(administration.PermitGranted, "low", hours=5, granted_at=at(0)))
    narrowed = await roads.stands(v1.EFFECT_REDUCED_SERVICE)
    await roads.told(permit(administration.PermitChanged, "low", hours=5, full_closure=True, changed_at=at(0)))
    await roads.stands(v1.EFFECT_NO_SERVICE)
    kind = administration.PERMIT_KIND_ROAD_WORKS
    await roads.told(administration.PermitCancelled(permit_id="p1", kind=kind, revision=3, cancelled_at=at(0)))
    await roads.nothing_stands()

    assert (narrowed.cause, narrowed.until) == (v1.CAUSE_CONSTRUCTION, at(5))
    assert roads.emitted() == ["Imposed", "Changed", "Lifted"]


async def test_the_clock_lifts_what_is_over(home: Home) -> None:
    class Impatient(TransportService):
        @every(seconds=0.1)
        def lift_over_restrictions(self) -> bool:
            return super().lift_over_restrictions()

    Impatient.__module__ = TransportService.__module__
    clock = ManualClock(NOW)
    roads = Roads(home, await home.start(Impatient, clock=clock))
    await roads.put("low")
    terms = {"cause": v1.CAUSE_HOLIDAY, "effect": v1.EFFECT_DETOUR, "segment_ids": ["low"]}
    over = await roads.ask("ImposeRestriction", **terms, until=at(1))
    await roads.ask("ImposeRestriction", **terms)

    clock.advance(timedelta(hours=1))

    await eventually(lambda: roads.emitted() == ["Imposed", "Imposed", "Lifted"])
    lifted = (await roads.ask("GetRestriction", restriction_id=over.restriction.id)).restriction
    assert (lifted.state, lifted.lifted_at) == (v1.RESTRICTION_STATE_LIFTED, at(1))
    assert len(await roads.standing()) == 1


def routed(report_id: str, sector: int) -> administration.FieldReportRouted:
    location = administration.Location(latitude=GAUGE.latitude, longitude=GAUGE.longitude)
    category = administration.REPORT_CATEGORY_ROAD_DAMAGE
    times = {"filed_at": at(-1), "routed_at": at(0)}
    return administration.FieldReportRouted(
        report_id=report_id, category=category, sector=sector, location=location, **times
    )


async def _incident_of(roads: Roads, report_id: str) -> v1.Incident:
    async def found() -> v1.Incident | None:
        incidents = (await roads.ask("ListIncidents", state=v1.INCIDENT_STATE_REPORTED)).incidents
        return next((one for one in incidents if one.field_report_id == report_id), None)

    return await eventually(found)


async def test_a_field_report_becomes_an_incident_and_is_answered_when_that_is_cleared(roads: Roads) -> None:
    """Also where another report is no longer ours to answer: that holds up nobody."""
    for report_id in ("elsewhere", "report-1"):
        await roads.told(routed(report_id, administration.SECTOR_TRANSPORT))
        found = await _incident_of(roads, report_id)
        await roads.ask("ClearIncident", incident_id=found.id, resolution="Đã vá ổ gà.")

    answers = roads.home.database("administration")["answers"]
    await eventually(lambda: answers.count_documents({}) == 1)
    assert [(raw["_id"], raw["answer"]) for raw in answers.find()] == [("report-1", "Đã vá ổ gà.")]
    assert roads.home.letters("transport") == []


async def test_a_field_report_that_is_routed_away_takes_its_incident_with_it(roads: Roads) -> None:
    await roads.told(routed("report-1", administration.SECTOR_TRANSPORT))
    found = await _incident_of(roads, "report-1")

    await roads.told(routed("report-1", administration.SECTOR_ENVIRONMENT))

    async def cleared() -> bool:
        return (await roads.ask("GetIncident", incident_id=found.id)).incident.state == v1.INCIDENT_STATE_CLEARED

    await eventually(cleared)
    assert roads.home.database("administration")["answers"].count_documents({}) == 0
