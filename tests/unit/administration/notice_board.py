"""The notices of Huế without I/O, and the events of stations here and in Đà Nẵng as they come from the bus."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message
from nameko.testing.services import worker_factory

from lienthong.administration import v1
from lienthong.administration.v1 import NOTICE_STATE_PUBLISHED
from lienthong.environment.v1 import (
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
from mesh.events import Event, new_event, source_of
from mesh.testing import ManualClock, MemoryStore, RecordingEmit
from services.administration.documents_notices import notice_id
from services.administration.service import AdministrationService

HERE, PEER = "hue", "da-nang"
NOW = datetime(2026, 11, 9, 3, tzinfo=UTC)
AI_NGHIA = {"station_id": "ai-nghia", "station_name": "Ái Nghĩa", "river": "Vu Gia"}
PLACE = Location(latitude=15.88, longitude=108.11)
FLOOD, AIR = "environment/flood_alarm", "environment/air_quality_alert"


@dataclass
class Board:
    """The service, and what it said."""

    service: Any
    emitted: RecordingEmit
    clock: ManualClock

    def hears(self, *events: Event) -> None:
        """Hands events to the methods that are subscribed to them."""
        for event in events:
            getattr(self.service, _HANDLERS[type(event.message())])(event.message(), event)

    def notice(self, origin: str = PEER, topic: str = FLOOD, key: str = "ai-nghia") -> v1.Notice:
        request = v1.GetNoticeRequest(notice_id=notice_id(origin, topic, key))
        return self.service.get_notice(request).notice

    def list(self, **wanted: Any) -> v1.ListNoticesResponse:
        return self.service.list_notices(v1.ListNoticesRequest(**wanted))

    def standing(self) -> list[tuple[Any, ...]]:
        """What stands, without when and because of which event it was said."""
        notices = self.list(state=NOTICE_STATE_PUBLISHED).notices
        return [(n.id, n.kind, n.severity, n.headline, n.text, str(n.location)) for n in notices]

    def said(self) -> list[str]:
        """What became of notices, as `Published`."""
        return [type(event).__name__.removeprefix("Notice") for event in self.emitted.messages]


_HANDLERS = {
    FloodAlarmRaised: "tell_of_flood",
    FloodAlarmEscalated: "tell_of_higher_flood",
    FloodAlarmLowered: "tell_of_lower_flood",
    FloodAlarmLifted: "withdraw_notice_of_flood",
    AirQualityAlertRaised: "tell_of_bad_air",
    AirQualityAlertLifted: "withdraw_notice_of_bad_air",
}


def new_board() -> Board:
    emitted, clock = RecordingEmit(), ManualClock(NOW)
    given = {"store": MemoryStore(), "emit": emitted, "clock": clock, "here": HERE}
    return Board(worker_factory(AdministrationService, **given), emitted, clock)


def raised(revision: int, level: int, origin: str = PEER, **given: Any) -> Event:
    return _alarm(FloodAlarmRaised, "raised_at", revision, level, origin, given)


def escalated(revision: int, level: int, origin: str = PEER, **given: Any) -> Event:
    return _alarm(FloodAlarmEscalated, "escalated_at", revision, level, origin, given)


def lowered(revision: int, level: int, origin: str = PEER, **given: Any) -> Event:
    return _alarm(FloodAlarmLowered, "lowered_at", revision, level, origin, given)


def lifted(revision: int, origin: str = PEER, **given: Any) -> Event:
    return event_of(
        FloodAlarmLifted(**{**AI_NGHIA, "lifted_at": NOW, "reason": FLOOD_LIFT_REASON_STAGE_BELOW, **given}),
        revision,
        origin,
    )


def bad_air(revision: int, band: int, **given: Any) -> Event:
    said = {"station_id": "hung-vuong", "station_name": "Hùng Vương", "location": PLACE, "raised_at": NOW, **given}
    return event_of(AirQualityAlertRaised(band=band, index=50 * band, **said), revision, HERE)


def good_air(revision: int, station: str = "hung-vuong") -> Event:
    alert = AirQualityAlertLifted(station_id=station, lifted_at=NOW, reason=LIFT_REASON_INDEX_BELOW)
    return event_of(alert, revision, HERE)


def event_of(message: Message, revision: int, origin: str) -> Event:
    """In its envelope, as the log of its origin numbered it."""
    return replace(new_event(message, source=source_of(origin, "environment"), time=NOW), key_revision=revision)


def _alarm(kind: type[Message], when: str, revision: int, level: int, origin: str, given: dict[str, Any]) -> Event:
    said = {**AI_NGHIA, "location": PLACE, "reach_m": 5000, "stage_m": 6 + level, when: NOW, **given}
    return event_of(kind(level=level, **said), revision, origin)
