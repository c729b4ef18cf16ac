"""However the events of a happening reach the sectors, in the end what stands is what stands when they come in order.

Every order of four events, one of them twice, on real services: restrictions, notices, advisories and dust watches.
Then events that no handler can stand until somebody mends it, which come back as dead letters that are retried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from lienthong.administration.v1 import PERMIT_KIND_ROAD_WORKS, PermitCancelled, PermitChanged, PermitGranted
from lienthong.environment.v1 import (
    BAND_BAD,
    BAND_HAZARDOUS,
    BAND_POOR,
    BAND_VERY_BAD,
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
from services.administration.notices import Notices
from services.health import service as health
from services.transport.restrictions import Restrictions
from tests.hosts import Home, eventually
from tests.integration.rumours import LATITUDE, LONGITUDE, NOW, REACTING, Story, Town

PLACE = Location(latitude=LATITUDE, longitude=LONGITUDE)
ATTEMPTS = 5


def flood(kind: type[Any], when: str, level: int) -> Any:
    said = {"station_id": "x", "station_name": "Ái Nghĩa", "river": "Vu Gia", "stage_m": 6 + level, "reach_m": 5000}
    return kind(level=level, location=PLACE, **{when: NOW - timedelta(hours=level)}, **said)


def bad_air(band: int) -> AirQualityAlertRaised:
    said = {"station_id": "x", "station_name": "Hải Châu", "location": PLACE, "raised_at": NOW}
    return AirQualityAlertRaised(band=band, index=50 * band, **said)


def permit(kind: type[Any], when: str, *segments: str, days: int = 1, full_closure: bool = False) -> Any:
    times = {"from": NOW, "until": NOW + timedelta(days=days), when: NOW}
    works = {"permit_id": "x", "kind": PERMIT_KIND_ROAD_WORKS, "title": "Sửa cống", "revision": 1}
    return kind(segment_ids=segments, full_closure=full_closure, **times, **works)


RAISED_I = flood(FloodAlarmRaised, "raised_at", FLOOD_LEVEL_I)
RAISED_II = flood(FloodAlarmRaised, "raised_at", FLOOD_LEVEL_II)
RISEN_TO_III = flood(FloodAlarmEscalated, "escalated_at", FLOOD_LEVEL_III)
FALLEN_TO_II = flood(FloodAlarmLowered, "lowered_at", FLOOD_LEVEL_II)
FLOOD_OVER = FloodAlarmLifted(station_id="x", lifted_at=NOW, reason=FLOOD_LIFT_REASON_STAGE_BELOW)
AIR_CLEAR = AirQualityAlertLifted(station_id="x", lifted_at=NOW, reason=LIFT_REASON_INDEX_BELOW)
GRANTED = permit(PermitGranted, "granted_at", "low")
MOVED = permit(PermitChanged, "changed_at", "high")
WIDENED = permit(PermitChanged, "changed_at", "low", "high", full_closure=True)
LONGER = permit(PermitChanged, "changed_at", "high", days=3)
CANCELLED = PermitCancelled(permit_id="x", kind=PERMIT_KIND_ROAD_WORKS, revision=4, cancelled_at=NOW)

STORIES = (
    Story("flood_over", (RAISED_I, RISEN_TO_III, FALLEN_TO_II, FLOOD_OVER)),
    Story("flood_again", (RAISED_I, FLOOD_OVER, RAISED_II, RISEN_TO_III)),
    Story("air_clears", (bad_air(BAND_BAD), AIR_CLEAR, bad_air(BAND_HAZARDOUS), AIR_CLEAR)),
    Story("air_worse", (bad_air(BAND_HAZARDOUS), AIR_CLEAR, bad_air(BAND_POOR), bad_air(BAND_VERY_BAD))),
    Story("works_cancelled", (GRANTED, MOVED, WIDENED, CANCELLED)),
    Story("works_go_on", (GRANTED, MOVED, WIDENED, LONGER)),
    Story("peers_flood", (RAISED_I, FLOOD_OVER, RAISED_II, RISEN_TO_III), is_peers=True),
    Story("peers_air", (bad_air(BAND_HAZARDOUS), AIR_CLEAR, bad_air(BAND_POOR), bad_air(BAND_VERY_BAD)), is_peers=True),
)
STANDING = {
    "flood_again": {"restriction", "notice"},
    "air_worse": {"restriction", "notice", "advisory"},
    "works_go_on": {"restriction", "dust watch"},
    "peers_flood": {"notice"},
    "peers_air": {"advisory"},
}
"""What each story leaves; the others leave nothing."""


def what(standing: set[tuple[Any, ...]]) -> dict[str, set[str]]:
    """Which stories left what."""
    return {story: {kind for of, kind, *_ in standing if of == story} for story, *_ in standing}


@pytest.fixture
async def town(home: Home) -> Town:
    return await Town.open(home)


async def test_every_order_of_events_ends_as_the_order_of_their_birth_does(town: Town) -> None:
    """Copy 0 of each story comes once and in order; each other copy in an order of its own, with one event twice."""
    in_order = range(4)
    orders = [in_order, *((*order, order[n % 4]) for n, order in enumerate(permutations(in_order)))]

    await town.hear(
        [events[place] for place in order]
        for story in STORIES
        for copy, order in enumerate(orders)
        for events in [story.events(copy, town.home.locality, town.peer)]
    )

    standing = await town.standing()
    assert what(standing[0]) == STANDING
    differing = {orders[copy]: found ^ standing[0] for copy, found in standing.items() if found != standing[0]}
    assert (len(standing), differing) == (len(orders), {})
    assert [town.home.letters(service) for service in REACTING] == [[], [], []]


class Illness:
    """Events that no sector can stand until it is cured."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.tries: Counter[tuple[str, str]] = Counter()

    def strikes(self, sector: str, handle: Callable[..., Any], place: int) -> Callable[..., Any]:
        """The same handling, unless its event, the argument in that place, is one of them."""

        def handled(*arguments: Any) -> Any:
            event = arguments[place]
            if event.id in self.ids:
                self.tries[sector, event.id] += 1
                raise ValueError("cannot stand it")
            return handle(*arguments)

        return handled


@pytest.fixture
def illness(monkeypatch: pytest.MonkeyPatch) -> Illness:
    illness = Illness()
    for target, name, sector, place in (
        (Restrictions, "follow", "transport", 1),
        (Notices, "follow", "administration", 1),
        (health, "follow_raised", "health", 2),
        (health, "follow_lifted", "health", 2),
    ):
        monkeypatch.setattr(target, name, illness.strikes(sector, getattr(target, name), place))
    return illness


async def test_dead_letters_that_are_retried_leave_what_the_order_leaves(town: Town, illness: Illness) -> None:
    """In copies 1 to 4 one event each fails five times everywhere, and is retried when all else is done with."""
    told = [story.events(copy, town.home.locality, town.peer) for copy in range(5) for story in STORIES]
    copies = [told[copy * len(STORIES) : (copy + 1) * len(STORIES)] for copy in range(5)]
    illness.ids = {events[copy - 1].id for copy in range(1, 5) for events in copies[copy]}

    await town.hear(told)

    standing = await town.standing()
    assert what(standing[0]) == STANDING, "whose events are sound are not held up by the others"
    assert set(illness.tries.values()) == {ATTEMPTS}
    assert {id for _, id in illness.tries} == illness.ids
    assert any(standing[copy] != standing[0] for copy in range(1, 5))

    illness.ids = set()
    await retry_all(town)

    standing = await town.standing()
    assert [standing[copy] for copy in range(1, 5)] == [standing[0]] * 4


async def retry_all(town: Town) -> None:
    """What `lienthong dead-letters retry` asks for, of every letter; those that wait behind one come after it."""
    node = town.home.node(town.host)
    for service in REACTING:
        for letter in town.home.letters(service):
            if letter["state"] == "DEAD":
                await node("RetryDeadLetter", RetryDeadLetterRequest(service=service, id=letter["_id"]))
    await eventually(lambda: not any(town.home.letters(service) for service in REACTING), within_s=60)
    await town.hear([])
