"""Which lines lie near a place: the store in memory answers as MongoDB's 2dsphere index does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from mongoengine import BooleanField, LineStringField, PointField, StringField
from pymongo import MongoClient

from mesh.indexes import ensure_indexes
from mesh.store import Document, Documents, StoreSession, to_raw
from mesh.testing import MemoryStore
from mesh.unit import Unit

# Đà Nẵng: 0.01° north are 1112 m, 0.01° east are 1069 m.
CITY = (108.20, 16.05)


class Road(Document):
    """A line with something else to filter by."""

    id = StringField(primary_key=True)
    line = LineStringField()
    is_prone = BooleanField(default=False)
    meta = {"collection": "geo_roads", "indexes": ["(line"]}


class Stop(Document):
    """A place."""

    id = StringField(primary_key=True)
    place = PointField()
    meta = {"collection": "geo_stops", "indexes": ["(place"]}


class GeoService:
    """Owns roads and stops; its documents are those of this module."""

    name = "geo"


def _line(*moved: tuple[float, float]) -> list[list[float]]:
    """Points moved from the city by degrees east and north."""
    return [[CITY[0] + east, CITY[1] + north] for east, north in moved]


ROADS = (
    Road(id="through", line=_line((-0.05, 0), (0.05, 0)), is_prone=True),
    Road(id="north", line=_line((0, 0.01), (0, 0.02))),
    Road(id="east", line=_line((0.01, -0.01), (0.01, 0.01)), is_prone=True),
    Road(id="bent", line=_line((-0.05, 0.05), (0, 0.004), (0.05, 0.05))),
    Road(id="far", line=_line((0.2, 0.2), (0.3, 0.3)), is_prone=True),
    Road(id="unknown"),
)
STOPS = (Stop(id="here", place=list(CITY)), Stop(id="there", place=[CITY[0], CITY[1] + 0.01]))


@pytest.fixture(params=["in memory", "in MongoDB"])
def store(request: pytest.FixtureRequest) -> Iterator[Documents]:
    if request.param == "in memory":
        memory = MemoryStore()
        for document in (*ROADS, *STOPS):
            memory.put(document)
        yield memory
        return
    uri, prefix = request.getfixturevalue("database_uri"), request.getfixturevalue("database_prefix")
    with MongoClient[dict[str, Any]](uri, tz_aware=True) as client:
        database = client[f"{prefix}geo"]
        ensure_indexes(database, GeoService, timedelta(days=1))
        database["geo_roads"].insert_many(map(to_raw, ROADS))
        database["geo_stops"].insert_many(map(to_raw, STOPS))
        yield StoreSession(Unit(), database)


def _near(store: Documents, metres: float, **filters: Any) -> list[str]:
    found = store.find(
        Road, line__near=list(CITY), line__max_distance=metres, order_by=filters.pop("order_by", ("id",)), **filters
    )
    return [road.id for road in found]


@pytest.mark.parametrize(
    ("metres", "ids"),
    [
        (1, ["through"]),
        (400, ["through"]),
        (500, ["bent", "through"]),
        (1000, ["bent", "through"]),
        (1090, ["bent", "east", "through"]),
        (1200, ["bent", "east", "north", "through"]),
        (50_000, ["bent", "east", "far", "north", "through"]),
    ],
)
def test_a_line_is_near_when_any_of_its_points_is(store: Documents, metres: float, ids: list[str]) -> None:
    """Also one between its ends; what has no line is never near."""
    assert _near(store, metres) == ids


def test_other_filters_hold_too(store: Documents) -> None:
    assert _near(store, 1200, is_prone=True) == ["east", "through"]


def test_pages_go_on_after_an_id(store: Documents) -> None:
    assert _near(store, 1200, limit=2) == ["bent", "east"]
    assert _near(store, 1200, limit=2, id__gt="east") == ["north", "through"]


def test_the_order_asked_for_wins_over_the_distance(store: Documents) -> None:
    assert _near(store, 1200, order_by=("-id",)) == ["through", "north", "east", "bent"]


def test_places_are_found_as_lines_are(store: Documents) -> None:
    found = store.find(Stop, place__near=list(CITY), place__max_distance=1000, order_by=("id",))

    assert [stop.id for stop in found] == ["here"]
