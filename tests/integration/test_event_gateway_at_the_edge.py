"""Events as a client of JSON meets them: at the edge, a line each, read by an SDK nobody here wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from tests.conftest import Background
from tests.edges import READ, SERVICES, WRITE, RunningEdge, running_edge

SUBSCRIBE = "/events/v1/events:subscribe"
RAISED = "lienthong.environment.v1.FloodAlarmRaised"
GATEWAY = "gateway.events.service:EventGateway"


@pytest.fixture(scope="module")
def edge(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    yield from running_edge(background, tmp_path_factory.mktemp("edge"), [*SERVICES, GATEWAY])


@pytest.fixture
def client(edge: RunningEdge) -> Iterator[httpx.Client]:
    with edge.http(edge.token(READ, WRITE, "events.read")) as client:
        yield client


def raise_alarm(client: httpx.Client, station: str) -> None:
    """Water reaches the first level at a new station."""
    levels = {"levelIM": 5, "levelIiM": 6, "levelIiiM": 7}
    place = {"latitude": 16.46, "longitude": 107.56}
    said = {"id": station, "name": "Kim Long", "river": "Hương", "location": place, **levels}
    put = client.put(f"/environment/v1/waterStations/{station}", json={"requestId": station, "station": said})
    assert put.status_code == 200, put.text
    stage = {"stationId": station, "observedAt": "2026-11-02T01:00:00Z", "stageM": 5.5}
    post = client.post("/environment/v1/stages:record", json={"requestId": f"{station}-stage", "stages": [stage]})
    assert post.status_code == 200, post.text


class Lines:
    """Deliveries of one subscription, a JSON value each."""

    def __init__(self, answer: httpx.Response) -> None:
        assert answer.status_code == 200, answer.read()
        self._lines = answer.iter_lines()

    def next(self) -> dict[str, Any]:
        return json.loads(next(self._lines))


def test_an_event_is_a_line_of_json_that_a_cloud_events_sdk_reads(client: httpx.Client) -> None:
    with client.stream("GET", SUBSCRIBE, params={"types": RAISED, "origins": "local"}) as answer:
        lines = Lines(answer)
        assert lines.next().keys() == {"cursor"}
        raise_alarm(client, "one")
        delivery = lines.next()

    event = JSONFormat().read(CloudEvent, json.dumps(delivery["event"]))
    assert (event.get_type(), event.get_source(), event.get_subject()) == (RAISED, "/hue/environment", "one")
    assert event.get_data()["level"] == "FLOOD_LEVEL_I"
    assert event.get_data()["stageM"] == 5.5


def test_a_line_s_cursor_is_where_to_resume(client: httpx.Client) -> None:
    with client.stream("GET", SUBSCRIBE, params={"types": RAISED}) as answer:
        cursor = Lines(answer).next()["cursor"]
    raise_alarm(client, "two")
    raise_alarm(client, "three")

    wanted = {"types": RAISED, "afterCursor": cursor, "fields": "stationId,level"}
    with client.stream("GET", SUBSCRIBE, params=wanted) as answer:
        lines = Lines(answer)
        lines.next()
        data = [lines.next()["event"]["data"] for _ in range(2)]

    assert [event["stationId"] for event in data] == ["two", "three"]
    assert data[0].keys() == {"@type", "stationId", "level"}


def test_what_is_refused_is_a_status_with_details(client: httpx.Client) -> None:
    answer = client.get(SUBSCRIBE, params={"types": "lienthong.environment.v1.Rumour"})

    assert answer.status_code == 400
    assert RAISED in answer.json()["message"]


def test_types_are_listed_and_described(client: httpx.Client) -> None:
    listed = client.get("/events/v1/types", params={"sector": "environment"}).json()["types"]
    described = client.get(f"/events/v1/types/{RAISED}").json()["type"]

    assert RAISED in [kind["type"] for kind in listed]
    assert described["keyField"] == "station_id"
    assert described["schema"]["$ref"] == f"#/$defs/{RAISED}"
    assert described["example"]["event"]["data"]["@type"].endswith(RAISED)
