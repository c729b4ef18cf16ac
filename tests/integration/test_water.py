"""Water and dust on real servers: what callers and neighbours ask of the sector, and what it says."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from lienthong.environment import v1
from lienthong.environment.v1.environment_service_pb2_grpc import EnvironmentServiceStub
from lienthong.transport.v1 import (
    CAUSE_CONSTRUCTION,
    EFFECT_REDUCED_SERVICE,
    LIFT_REASON_CAUSE_ENDED,
    RoadRestrictionChanged,
    RoadRestrictionImposed,
    RoadRestrictionLifted,
)
from mesh import rpc
from mesh.events import catalogue
from mesh.host import Host
from services.environment.documents import NEVER_MS
from services.environment.service import EnvironmentService
from tests.conftest import RunningMongod, RunningNats
from tests.hosts import Home, detail_of, eventually
from tests.trial.contract import RecordResponse
from tests.trial.services import TrialService

MIDNIGHT = datetime(2026, 1, 9, tzinfo=UTC)
GAUGE = "tuy-loan"
A_FLOOD = (6.0, 7.0, 8.2, 9.1, 8.9, 8.5, 7.5, 6.2)
ITS_EVENTS = ["Raised", "Escalated", "Escalated", "Lowered", "Lowered", "Lifted"]


class TransportDouble(TrialService):
    """Stands for the sector that restricts roads: it emits the event it is given as text, its name before its JSON."""

    name = "transport"

    @rpc
    def record(self, request):
        name, _, text = request.note.partition(" ")
        self.emit(json_format.Parse(text, catalogue()[name].cls()))
        return RecordResponse(request_id=request.request_id)


class Caller:
    """Somebody with every scope."""

    def __init__(self, home: Home, host: Host) -> None:
        self.home = home
        self._stub = EnvironmentServiceStub(home.channel(host))
        self._trial = home.trial(host)
        self._metadata = [("authorization", f"Bearer {home.token('*')}")]

    async def ask(self, method: str, request: Message) -> Any:
        return await getattr(self._stub, method)(request, metadata=self._metadata, timeout=20)

    async def register(self, id: str = GAUGE, **changed: Any) -> v1.WaterStation:
        given = {"name": id, "river": "Túy Loan", "level_i_m": 6.5, "level_ii_m": 8.0, "level_iii_m": 9.0} | changed
        station = v1.WaterStation(id=id, location=v1.Location(latitude=16.0, longitude=108.14), **given)
        request = v1.RegisterWaterStationRequest(request_id=uuid.uuid4().hex, station=station)
        return (await self.ask("RegisterWaterStation", request)).station

    async def record(self, *stages: v1.Stage) -> v1.StagesOutcome:
        request = v1.RecordStagesRequest(request_id=uuid.uuid4().hex, stages=stages)
        return (await self.ask("RecordStages", request)).outcome

    async def stream(self, *batches: list[v1.Stage]) -> list[v1.StreamStagesResponse]:
        requests = (v1.StreamStagesRequest(request_id=f"batch-{n}", stages=batch) for n, batch in enumerate(batches))
        return [answer async for answer in self._stub.StreamStages(requests, metadata=self._metadata, timeout=20)]

    async def place(self, id: str, latitude: float) -> None:
        station = v1.Station(id=id, name=id, location=v1.Location(latitude=latitude, longitude=108.2))
        await self.ask("RegisterStation", v1.RegisterStationRequest(request_id=uuid.uuid4().hex, station=station))

    async def watches(self, **wanted: Any) -> list[v1.DustWatch]:
        return list((await self.ask("ListDustWatches", v1.ListDustWatchesRequest(**wanted))).dust_watches)

    async def happens(self, event: Message) -> None:
        """Lets transport emit it."""
        await self._trial.record(note=f"{event.DESCRIPTOR.full_name} {json_format.MessageToJson(event)}")

    def said(self, station: str = GAUGE) -> list[str]:
        """What happened to a station's flood alarm, as its log has it."""
        prefix = "lienthong.environment.v1.FloodAlarm"
        return [
            raw["headers"]["ce-type"].removeprefix(prefix)
            for raw in self.home.log("environment")
            if raw["headers"]["ce-type"].startswith(prefix) and raw["headers"]["ce-subject"] == station
        ]


@pytest.fixture
async def da_nang(empty_nats: RunningNats, mongod: RunningMongod, tmp_path: Path) -> AsyncIterator[Caller]:
    """The sector in Đà Nẵng, beside a double of transport."""
    home = Home("da-nang", mongod, empty_nats, tmp_path)
    try:
        yield Caller(home, await home.start(EnvironmentService, TransportDouble))
    finally:
        await home.close()
        home.wipe()
        home.forget()


def stage(at: float, metres: float, station: str = GAUGE) -> v1.Stage:
    """A stage at an hour after midnight."""
    said = v1.Stage(station_id=station, stage_m=metres)
    said.observed_at.FromDatetime(MIDNIGHT + timedelta(hours=at))
    return said


def works(kind: type[Any], latitude: float, id: str = "works") -> Any:
    """Road works along a parallel."""
    ends = [{"latitude": latitude, "longitude": longitude} for longitude in (108.19, 108.21)]
    said = {
        "restriction_id": id,
        "cause": CAUSE_CONSTRUCTION,
        "effect": EFFECT_REDUCED_SERVICE,
        "segments": [{"id": "s1", "line": {"points": ends}}],
        "from": "2026-01-09T00:00:00Z",
        "revision": 1,
        ("imposed_at" if kind is RoadRestrictionImposed else "changed_at"): "2026-01-09T00:00:00Z",
    }
    return json_format.ParseDict(said, kind())


def over(id: str = "works") -> RoadRestrictionLifted:
    said = RoadRestrictionLifted(
        restriction_id=id, cause=CAUSE_CONSTRUCTION, reason=LIFT_REASON_CAUSE_ENDED, revision=2
    )
    said.lifted_at.FromDatetime(MIDNIGHT + timedelta(hours=5))
    return said


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as found:
        await call
    return found.value


async def pages(caller: Caller, method: str, request: Any, field: str) -> list[Any]:
    """All rows, two a page."""
    rows: list[Any] = []
    request.page_size = 2
    while True:
        page = await caller.ask(method, request)
        found = list(getattr(page, field))
        assert len(found) <= 2
        rows += found
        if not page.next_page_token:
            return rows
        request.page_token = page.next_page_token


class TestAFlood:
    """From its first stage to its last."""

    async def test_is_told_level_by_level(self, da_nang: Caller) -> None:
        await da_nang.register()
        for hour, metres in enumerate(A_FLOOD):
            await da_nang.record(stage(hour, metres))

        assert da_nang.said() == ITS_EVENTS
        (alarm,) = (await da_nang.ask("ListFloodAlarms", v1.ListFloodAlarmsRequest())).alarms
        assert (alarm.station_id, alarm.level, alarm.highest_level) == (GAUGE, 0, v1.FLOOD_LEVEL_III)
        assert alarm.lifted_at.ToDatetime(UTC) == MIDNIGHT + timedelta(hours=7)

    async def test_is_told_the_same_when_it_streams_in(self, da_nang: Caller) -> None:
        await da_nang.register()

        answers = await da_nang.stream(*([stage(hour, metres)] for hour, metres in enumerate(A_FLOOD)))

        assert [answer.request_id for answer in answers] == [f"batch-{n}" for n in range(8)]
        assert all(answer.outcome.accepted == 1 for answer in answers)
        assert da_nang.said() == ITS_EVENTS

    async def test_of_which_many_tell_at_once_is_told_once(self, da_nang: Caller) -> None:
        """No two batches of a station are judged on the same knowledge."""
        await da_nang.register()

        await asyncio.gather(*(da_nang.record(stage(minute / 60, 9.5)) for minute in range(40)))

        assert da_nang.said() == ["Raised"]

    async def test_that_fell_silent_is_lifted_by_hand(self, da_nang: Caller) -> None:
        await da_nang.register()
        await da_nang.record(stage(0, 9.5))

        request = v1.LiftFloodAlarmRequest(request_id="lift", station_id=GAUGE)
        answer = await da_nang.ask("LiftFloodAlarm", request)
        again = await da_nang.ask("LiftFloodAlarm", request)

        assert answer.alarm.level == 0
        assert again == answer
        assert da_nang.said() == ["Raised", "Lifted"]


class TestStations:
    """Registered by callers, and by themselves."""

    async def test_of_the_decision_are_there_from_the_start(self, da_nang: Caller) -> None:
        wanted = ["ai-nghia", "cam-le", "cau-lau", "giao-thuy"]

        async def all_of_them() -> bool:
            found = await pages(da_nang, "ListWaterStations", v1.ListWaterStationsRequest(), "stations")
            return [station.id for station in found] == wanted

        await eventually(all_of_them)
        station = (await da_nang.ask("GetWaterStation", v1.GetWaterStationRequest(station_id="cam-le"))).station
        assert (station.river, station.level_iii_m) == ("Cẩm Lệ", 2.5)
        assert "secondary" in station.levels_source

    async def test_are_answered_with_their_defaults(self, da_nang: Caller) -> None:
        station = await da_nang.register()

        assert (station.hysteresis_m, station.plausible_rate_m_per_h, station.reach_m) == (0.2, 2.0, 5000)

    async def test_stages_come_by_page(self, da_nang: Caller) -> None:
        await da_nang.register()
        await da_nang.record(*(stage(hour, 5 + hour / 10) for hour in (4, 1, 0, 3, 2)), stage(2.5, 20))

        rows = await pages(da_nang, "ListStages", v1.ListStagesRequest(station_id=GAUGE), "stages")
        flagged = await pages(
            da_nang, "ListStages", v1.ListStagesRequest(station_id=GAUGE, flag=v1.STAGE_FLAG_JUMP), "stages"
        )

        assert [row.stage.stage_m for row in rows] == [5.0, 5.1, 5.2, 20, 5.3, 5.4]
        assert [row.stage.stage_m for row in flagged] == [20]

    async def test_alarms_come_by_page_and_level(self, da_nang: Caller) -> None:
        for number, metres in enumerate((6.6, 8.1, 9.5)):
            await da_nang.register(f"g{number}")
            await da_nang.record(stage(0, metres, f"g{number}"))

        rows = await pages(da_nang, "ListFloodAlarms", v1.ListFloodAlarmsRequest(), "alarms")
        high = await pages(da_nang, "ListFloodAlarms", v1.ListFloodAlarmsRequest(at_least=v1.FLOOD_LEVEL_II), "alarms")

        assert [row.station_id for row in rows] == ["g0", "g1", "g2"]
        assert [row.station_id for row in high] == ["g1", "g2"]


class TestBadInput:
    """What is answered to it; nothing is half done."""

    async def test_levels_that_do_not_ascend_are_named(self, da_nang: Caller) -> None:
        error = await refused(da_nang.register(level_ii_m=6.0, name=""))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert {row.field for row in detail_of(error, "BadRequest").field_violations} == {"station.name"}

        error = await refused(da_nang.register(level_ii_m=6.0))
        assert {row.field for row in detail_of(error, "BadRequest").field_violations} == {"station.level_ii_m"}

    async def test_bad_rows_are_reported_and_the_good_ones_kept(self, da_nang: Caller) -> None:
        await da_nang.register()
        ahead = v1.Stage(station_id=GAUGE, stage_m=5)
        ahead.observed_at.FromDatetime(datetime.now(UTC) + timedelta(hours=1))

        outcome = await da_nang.record(
            stage(0, 5), stage(0, 5), stage(1, 900), stage(2, 5, "nowhere"), stage(3, float("nan")), ahead
        )

        assert (outcome.rows, outcome.accepted, outcome.duplicate) == (6, 1, 1)
        assert [(row.index, row.rule) for row in outcome.rejected] == [
            (2, "lte"),
            (3, "NOT_FOUND"),
            (4, "finite"),
            (5, "not_in_future"),
        ]

    async def test_what_is_not_there_is_not_found(self, da_nang: Caller) -> None:
        for call in (
            da_nang.ask("GetWaterStation", v1.GetWaterStationRequest(station_id="nowhere")),
            da_nang.ask("ListStages", v1.ListStagesRequest(station_id="nowhere")),
            da_nang.ask("LiftFloodAlarm", v1.LiftFloodAlarmRequest(request_id="1", station_id="nowhere")),
            da_nang.record(stage(0, 5, "nowhere")),
        ):
            assert (await refused(call)).code() == grpc.StatusCode.NOT_FOUND

    async def test_no_alarm_cannot_be_lifted(self, da_nang: Caller) -> None:
        await da_nang.register()

        error = await refused(da_nang.ask("LiftFloodAlarm", v1.LiftFloodAlarmRequest(request_id="1", station_id=GAUGE)))

        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "FLOOD_LEVEL_III" in detail_of(error, "ErrorInfo").metadata["allowed"]

    async def test_the_same_request_is_answered_the_same_and_another_refused(self, da_nang: Caller) -> None:
        await da_nang.register()
        request = v1.RecordStagesRequest(request_id="r1", stages=[stage(0, 7)])
        other = v1.RecordStagesRequest(request_id="r1", stages=[stage(1, 7)])

        first, again = await da_nang.ask("RecordStages", request), await da_nang.ask("RecordStages", request)

        assert first == again
        assert (await refused(da_nang.ask("RecordStages", other))).code() == grpc.StatusCode.ALREADY_EXISTS
        assert da_nang.said() == ["Raised"]

    async def test_a_token_without_the_scope_lifts_nothing(self, da_nang: Caller) -> None:
        da_nang._metadata = [("authorization", f"Bearer {da_nang.home.token('environment.write')}")]

        call = da_nang.ask("LiftFloodAlarm", v1.LiftFloodAlarmRequest(request_id="1", station_id=GAUGE))

        assert (await refused(call)).code() == grpc.StatusCode.PERMISSION_DENIED


class TestRoadWorks:
    """Told by transport, followed here."""

    async def test_are_watched_changed_and_ended(self, da_nang: Caller) -> None:
        await da_nang.place("near", 16.05)
        await da_nang.place("far", 16.10)

        await da_nang.happens(works(RoadRestrictionImposed, 16.05))
        await eventually(lambda: self._concerned(da_nang, ["near"]))
        (watch,) = await da_nang.watches(station_id="near", state=v1.DUST_WATCH_STATE_STANDING)
        assert (watch.alert_index, watch.HasField("until")) == (75, False)

        await da_nang.happens(works(RoadRestrictionChanged, 16.10))
        await eventually(lambda: self._concerned(da_nang, ["far"]))

        await da_nang.happens(over())
        await eventually(lambda: self._ended(da_nang))
        spans = {raw["_id"]: raw["dust"] for raw in da_nang.home.database("environment")["watches"].find()}
        start = int(MIDNIGHT.timestamp()) * 1000
        assert spans == {"near": {}, "far": {"works": [start, start + 5 * 3_600_000, 75]}}

    async def test_miss_no_station_that_is_registered_meanwhile(self, da_nang: Caller) -> None:
        """Whoever comes second, station or road works, sees the first."""
        stations = [da_nang.place(f"s{number:02}", 16.05) for number in range(30)]
        restrictions = [da_nang.happens(works(RoadRestrictionImposed, 16.05, f"w{number}")) for number in range(5)]

        await asyncio.gather(*stations, *restrictions)

        wanted = [f"s{number:02}" for number in range(30)]

        async def all_of_all() -> bool:
            found = await pages(da_nang, "ListDustWatches", v1.ListDustWatchesRequest(), "dust_watches")
            return [list(watch.station_ids) for watch in found] == [wanted] * 5

        await eventually(all_of_all)
        spans = {raw["_id"]: raw["dust"] for raw in da_nang.home.database("environment")["watches"].find()}
        start = int(MIDNIGHT.timestamp()) * 1000
        assert spans == {id: {f"w{number}": [start, NEVER_MS, 75] for number in range(5)} for id in wanted}

    @staticmethod
    async def _concerned(caller: Caller, stations: list[str]) -> bool:
        return [list(watch.station_ids) for watch in await caller.watches()] == [stations]

    @staticmethod
    async def _ended(caller: Caller) -> list[v1.DustWatch]:
        return await caller.watches(state=v1.DUST_WATCH_STATE_ENDED)
