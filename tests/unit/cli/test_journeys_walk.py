"""A journey waits for what must come of each step, and says what did not."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from lienthong.administration.v1 import (
    ApplyForPermitResponse,
    CancelPermitResponse,
    GrantPermitResponse,
    Permit,
    PermitCancelled,
    PermitGranted,
)
from lienthong.transport.v1 import (
    EFFECT_NO_SERVICE,
    AffectedSegment,
    CausingEvent,
    ListRestrictionsResponse,
    RoadRestriction,
)
from mesh.cli.journeys_forms import Journey
from mesh.cli.journeys_shown import journey_json, shown
from mesh.cli.journeys_walk import walk
from mesh.cli.journeys_walked import WalkedJourney
from mesh.cli.tailing import Seen
from mesh.errors import FailedPrecondition
from mesh.events import catalogue, new_event
from mesh.telemetry import inject

JOURNEY = {
    "title": "Road works",
    "prepare": [
        {
            "at": "da-nang",
            "call": "administration.ApplyForPermit",
            "request": {"title": "Works {run}"},
            "keep": {"permit": "permit.id"},
        }
    ],
    "views": {
        "restriction": {
            "at": "da-nang",
            "call": "transport.ListRestrictions",
            "where": {"caused_by.key": "{permit}"},
            "show": ["segments.name", "effect"],
        }
    },
    "steps": [
        {
            "title": "It is granted",
            "at": "da-nang",
            "call": "administration.GrantPermit",
            "request": {"permit_id": "{permit}"},
            "events": {"da-nang": ["PermitGranted"], "hue": ["PermitGranted"]},
            "within_s": 0.3,
            "stands": {"restriction": 1},
        },
        {
            "title": "It is cancelled",
            "at": "da-nang",
            "call": "administration.CancelPermit",
            "request": {"permit_id": "{permit}"},
            "events": {"da-nang": ["PermitCancelled"]},
            "within_s": 0.3,
            "stands": {"restriction": 0},
        },
    ],
}


class City:
    """Stands for a mesh of two localities and the tail of its events: what is called, and what comes of it."""

    localities = ("da-nang", "hue")

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.grants_reach = ["da-nang", "hue"]
        self.cancels_reach = ["da-nang"]
        self.refuses = ""
        self.standing = {"p-7", "p-of-another-run"}
        self._seen: asyncio.Queue[Seen] = asyncio.Queue()

    def client(self, locality: str, service: str) -> City:
        return self

    async def call(self, method: str, request: Any, *, deadline_s: float) -> Any:
        if method == self.refuses:
            raise FailedPrecondition("not now")
        self.asked.append(request)
        return getattr(self, method)()

    def ApplyForPermit(self) -> ApplyForPermitResponse:
        return ApplyForPermitResponse(permit=Permit(id="p-7"))

    def GrantPermit(self) -> GrantPermitResponse:
        for slug in self.grants_reach:
            self.emit(PermitGranted, slug)
        return GrantPermitResponse()

    def CancelPermit(self) -> CancelPermitResponse:
        self.standing.discard("p-7")
        for slug in self.cancels_reach:
            self.emit(PermitCancelled, slug)
        return CancelPermitResponse()

    def ListRestrictions(self) -> ListRestrictionsResponse:
        segments = [AffectedSegment(id="a", name="Lê Lợi"), AffectedSegment(id="b", name="Bạch Đằng")]
        found = [
            RoadRestriction(effect=EFFECT_NO_SERVICE, segments=segments, caused_by=CausingEvent(key=permit))
            for permit in sorted(self.standing)
        ]
        return ListRestrictionsResponse(restrictions=found)

    def emit(self, kind: Any, seen_in: str, traceparent: str = "") -> None:
        """Publishes an event of the caller's trace, or of another one."""
        message = filled_in(kind(permit_id="p-7"))
        event = new_event(
            message,
            source="/da-nang/administration",
            time=datetime.now(UTC),
            traceparent=traceparent or inject()[0],
        )
        self._seen.put_nowait(Seen(seen_in, event))

    async def next(self, within_s: float) -> Seen | None:
        try:
            async with asyncio.timeout(within_s):
                return await self._seen.get()
        except TimeoutError:
            return None


def filled_in(message: Any) -> Any:
    """An event with something in each of its required fields."""
    for name in catalogue().of(type(message)).required_fields:
        field = message.DESCRIPTOR.fields_by_name[name]
        if field.message_type is not None:
            getattr(message, name).GetCurrentTime()
        elif not getattr(message, name):
            setattr(message, name, 1)
    return message


async def walked(city: City, **other: Any) -> WalkedJourney:
    mesh: Any = city
    return await walk(mesh, mesh, Journey.model_validate({**JOURNEY, **other}))


def told(gone: WalkedJourney) -> str:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(shown(gone))
    return captured.get()


@pytest.fixture
def city() -> City:
    return City()


async def test_a_journey_goes_through_its_steps(city: City) -> None:
    """What was kept of the application is what is granted and cancelled; other runs' restrictions are not counted."""
    gone = await walked(city)

    assert gone.met
    assert [len(step.came) for step in gone.steps] == [2, 1]
    assert [standing.expected for step in gone.steps for standing in step.standing] == [1, 0]
    assert {request.permit_id for request in city.asked if hasattr(request, "permit_id")} == {"p-7"}


async def test_each_run_is_another_one(city: City) -> None:
    """By `{run}` and by the request ids."""
    await walked(city)
    city.standing.add("p-7")
    await walked(city)

    first, second = [request for request in city.asked if hasattr(request, "segment_ids")]
    assert first.title != second.title
    assert first.request_id != second.request_id


async def test_a_table_tells_it(city: City) -> None:
    """Step, how soon, where, what; then what stands, and what is over."""
    lines = told(await walked(city)).splitlines()

    assert lines[0].strip() == "Road works"
    assert [re.sub(r"\d+ ms", "… ms", " ".join(line.split())) for line in lines[2:]] == [
        "It is granted … ms Đà Nẵng PermitGranted",
        "… ms Đà Nẵng → Huế PermitGranted",
        "stands Đà Nẵng restriction: Lê Lợi, Bạch Đằng · no service",
        "It is cancelled … ms Đà Nẵng PermitCancelled",
        "undone restriction",
    ]


async def test_an_event_that_does_not_come_is_named_with_its_locality(city: City) -> None:
    """And the journey goes on, so that what was done is undone."""
    city.grants_reach = ["da-nang"]

    gone = await walked(city)

    assert not gone.met
    assert gone.steps[0].problems == ["no PermitGranted in hue within 0.3 s"]
    assert gone.steps[1].problems == []
    assert "It is granted: no PermitGranted in hue within 0.3 s" in told(gone)


async def test_events_of_others_do_not_count(city: City) -> None:
    """Another trace is another story."""
    city.grants_reach = ["da-nang"]
    city.emit(PermitGranted, "hue", f"00-{'a' * 32}-{'b' * 16}-01")

    gone = await walked(city)

    assert gone.steps[0].problems == ["no PermitGranted in hue within 0.3 s"]


async def test_what_stands_must_be_what_the_step_says(city: City) -> None:
    """A restriction that nobody lifts."""
    began = time.monotonic()

    gone = await walked(city, steps=[{**JOURNEY["steps"][0], "stands": {"restriction": 0}}])  # type: ignore[index]

    assert gone.steps[0].problems == ["restriction in da-nang: 0 must stand, 1 do"]
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(("refuses", "steps"), [("ApplyForPermit", 0), ("GrantPermit", 1), ("CancelPermit", 2)])
async def test_a_refused_call_ends_the_journey_with_the_reason(city: City, refuses: str, steps: int) -> None:
    """In preparation or in a step; nothing after it is tried."""
    city.refuses = refuses

    gone = await walked(city)

    assert not gone.met
    assert len(gone.steps) == steps
    assert "not now" in told(gone)


async def test_a_journey_elsewhere_is_left_out(city: City) -> None:
    """Nothing is called."""
    gone = await walked(city, prepare=[{"at": "can-tho", "call": "administration.ApplyForPermit"}])

    assert (gone.absent, gone.steps, city.asked) == (["can-tho"], [], [])
    assert "left out: Cần Thơ does not run here" in told(gone)


async def test_the_json_tells_all_of_it(city: City) -> None:
    """Also the events that the step did not ask for."""
    city.cancels_reach = ["da-nang", "hue"]

    found = journey_json(await walked(city))

    assert found["met"]
    assert [event["locality"] for event in found["steps"][1]["events"]] == ["da-nang", "hue"]
    assert found["steps"][0]["stands"][0]["rows"][0]["effect"] == "EFFECT_NO_SERVICE"
    assert len({step["trace_id"] for step in found["steps"]}) == 2
