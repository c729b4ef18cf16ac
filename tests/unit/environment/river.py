"""One gauge, Ái Nghĩa on the Vu Gia, and a short way to say how high the water stood when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.message import Message

from lienthong.environment.v1 import (
    FloodAlarm,
    FloodAlarmEscalated,
    FloodAlarmLifted,
    FloodAlarmLowered,
    FloodAlarmRaised,
    LiftFloodAlarmRequest,
    ListFloodAlarmsRequest,
    ListStagesRequest,
    Location,
    RecordedStage,
    RecordStagesRequest,
    RegisterWaterStationRequest,
    Stage,
    StagesOutcome,
    WaterStation,
)
from tests.unit.environment.city import City, new_city

STATION = "ai-nghia"
MIDNIGHT = datetime(2026, 11, 9, tzinfo=UTC)
KINDS = {
    FloodAlarmRaised: "raised",
    FloodAlarmEscalated: "escalated",
    FloodAlarmLowered: "lowered",
    FloodAlarmLifted: "lifted",
}


def gauge(id: str = STATION, **changed: Any) -> WaterStation:
    given: dict[str, Any] = {
        "id": id,
        "name": "Ái Nghĩa",
        "river": "Vu Gia",
        "location": Location(latitude=15.88, longitude=108.11),
        "level_i_m": 6.5,
        "level_ii_m": 8.0,
        "level_iii_m": 9.0,
    }
    return WaterStation(**given | changed)


def stage(at: float, metres: float, station: str = STATION) -> Stage:
    """A stage at an hour after midnight."""
    said = Stage(station_id=station, stage_m=metres)
    said.observed_at.FromDatetime(MIDNIGHT + timedelta(hours=at))
    return said


@dataclass
class River:
    """The service without I/O, and what it said of water."""

    city: City

    @property
    def service(self) -> Any:
        return self.city.service

    def register(self, id: str = STATION, **changed: Any) -> WaterStation:
        request = RegisterWaterStationRequest(request_id="register", station=gauge(id, **changed))
        return self.service.register_water_station(request).station

    def record(self, *stages: Stage) -> StagesOutcome:
        return self.service.record_stages(RecordStagesRequest(request_id="record", stages=stages)).outcome

    def hourly(self, *metres: float) -> None:
        """One call each, an hour apart."""
        for hour, one in enumerate(metres):
            self.record(stage(hour, one))

    def lift(self, station: str = STATION) -> FloodAlarm:
        return self.service.lift_flood_alarm(LiftFloodAlarmRequest(request_id="lift", station_id=station)).alarm

    def alarms(self, **wanted: Any) -> list[FloodAlarm]:
        return list(self.service.list_flood_alarms(ListFloodAlarmsRequest(**wanted)).alarms)

    def stages(self, **wanted: Any) -> list[RecordedStage]:
        return list(self.service.list_stages(ListStagesRequest(station_id=STATION, **wanted)).stages)

    def events(self) -> list[Message]:
        return [said for said in self.city.emitted.messages if type(said) in KINDS]

    def changes(self) -> list[tuple[str, int]]:
        """What happened to the alarm, and the level it then had."""
        return [(KINDS[type(said)], getattr(said, "level", 0)) for said in self.events()]


def new_river() -> River:
    return River(new_city())
