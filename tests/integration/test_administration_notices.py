"""Notices on real servers: what events here and of a peer publish and withdraw, and what is asked of them."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from lienthong.administration import v1
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
from lienthong.mesh.v1 import RetryDeadLetterRequest
from mesh import ANY, subscribe
from services.administration.documents_notices import notice_id
from services.administration.service import AdministrationService
from tests.hosts import Home, eventually
from tests.integration.town_office import NOW, Border, Gauges, Office, pages, refusal

PLACE = Location(latitude=15.88, longitude=108.11)


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


async def test_a_notice_there_never_was_is_not_found(office: Office) -> None:
    error = await refusal(office.ask("GetNotice", v1.GetNoticeRequest(notice_id="nobody")))

    assert error.code() == grpc.StatusCode.NOT_FOUND
