"""What a handler may expect of `self.store`, kept by the store in memory and by the one over MongoDB alike.

A test ends its handler run with `store.settle()`: from then on another run sees what was staged.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mongoengine import (
    DateTimeField,
    DictField,
    EmbeddedDocument,
    EmbeddedDocumentField,
    IntField,
    ListField,
    StringField,
    ValidationError,
)
from pymongo import MongoClient

from mesh.commit import Committed, Committer
from mesh.errors import NotFound
from mesh.remembered import Remembered
from mesh.store import D, Document, Documents, StoreSession
from mesh.testing import MemoryStore
from mesh.unit import Run, Unit

NOON = datetime(2026, 11, 1, 5, tzinfo=UTC)


class Place(EmbeddedDocument):
    """Where a station stands."""

    ward = StringField(required=True)


class Station(Document):
    """A station with a field of every kind the sectors use."""

    id = StringField(primary_key=True)
    name = StringField(max_length=20)
    rank = IntField(default=0)
    seen_at = DateTimeField()
    place = EmbeddedDocumentField(Place)
    bands = ListField(StringField())
    counts = DictField(field=IntField())
    meta = {"collection": "stations"}


class InMemory:
    """The fake handlers' tests use."""

    def __init__(self) -> None:
        self.store: Documents = MemoryStore()

    def settle(self) -> None:
        """Nothing to do: what is put is visible at once."""


class InMongoDB:
    """The store of a real handler run."""

    remembered: Remembered | None = None

    def __init__(self, client: MongoClient[dict[str, Any]], name: str) -> None:
        self._database = client[name]
        self._committer = Committer(self._database, logs={})
        self._committer.start()
        self._begin()

    def _begin(self) -> None:
        self._unit = Unit()
        self._session = StoreSession(self._unit, self._database, self.remembered)
        self.store: Documents = self._session

    def settle(self) -> None:
        """Commits, as the runtime does when the handler has returned."""
        self._session.seal()
        outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._committer.submit(Run([self._unit]), outcomes.put)
        outcome = outcomes.get(timeout=30)
        assert isinstance(outcome, Committed)
        self._committed(outcome)
        self._begin()

    def _committed(self, outcome: Committed) -> None:
        """What the process learns of the commit."""

    def close(self) -> None:
        self._committer.stop()


class Recalled(InMongoDB):
    """The store of a handler of events in a process that remembers all its documents."""

    def __init__(self, client: MongoClient[dict[str, Any]], name: str) -> None:
        self.remembered = Remembered(most_documents=100, most_bytes=1 << 20)
        super().__init__(client, name)

    def _committed(self, outcome: Committed) -> None:
        assert self.remembered is not None
        self.remembered.committed(Run([self._unit]).staged(), outcome.number)
        another = StoreSession(Unit(), self._database, self.remembered)
        another.get_many(Station, [id for _, id in self._unit.staged])


Kept = InMemory | InMongoDB


@pytest.fixture(params=["in memory", "in MongoDB", "recalled"])
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    if request.param == "in memory":
        yield InMemory()
        return
    uri, prefix = request.getfixturevalue("database_uri"), request.getfixturevalue("database_prefix")
    with MongoClient[dict[str, Any]](uri, tz_aware=True) as client:
        kept = (Recalled if request.param == "recalled" else InMongoDB)(client, f"{prefix}documents")
        yield kept
        kept.close()


def _put(kept: Kept, *documents: Document) -> None:
    for document in documents:
        kept.store.put(document)
    kept.settle()


def _ids(found: list[D]) -> list[str]:
    return [document.pk for document in found]


def test_what_does_not_exist_is_none(kept: Kept) -> None:
    assert kept.store.get(Station, "s1") is None


def test_what_is_put_is_got_in_the_same_run(kept: Kept) -> None:
    kept.store.put(Station(id="s1", rank=3))

    found = kept.store.get(Station, "s1")

    assert found is not None
    assert found.rank == 3


def test_what_is_put_is_got_in_a_later_run(kept: Kept) -> None:
    _put(kept, Station(id="s1", rank=3))

    found = kept.store.get(Station, "s1")

    assert found is not None
    assert found.rank == 3


def test_a_document_comes_back_as_it_was(kept: Kept) -> None:
    station = Station(
        id="s1", name="Hòa Khánh", seen_at=NOON, place=Place(ward="Liên Chiểu"), bands=["GOOD"], counts={"pm25": 7}
    )
    _put(kept, station)

    found = kept.store.require(Station, "s1")

    assert (found.name, found.place.ward, list(found.bands)) == ("Hòa Khánh", "Liên Chiểu", ["GOOD"])
    assert dict(found.counts) == {"pm25": 7}


def test_times_come_back_in_utc(kept: Kept) -> None:
    _put(kept, Station(id="s1", seen_at=NOON))

    assert kept.store.require(Station, "s1").seen_at == NOON


def test_a_changed_document_must_be_put(kept: Kept) -> None:
    _put(kept, Station(id="s1", rank=1))

    kept.store.require(Station, "s1").rank = 2
    kept.settle()

    assert kept.store.require(Station, "s1").rank == 1


def test_a_document_got_and_put_again_is_replaced(kept: Kept) -> None:
    _put(kept, Station(id="s1", rank=1, bands=["GOOD"]))
    station = kept.store.require(Station, "s1")
    station.rank, station.bands = 2, []
    _put(kept, station)

    found = kept.store.require(Station, "s1")

    assert (found.rank, list(found.bands)) == (2, [])


def test_a_deleted_document_is_gone_in_the_same_run_and_later(kept: Kept) -> None:
    _put(kept, Station(id="s1"))

    kept.store.delete(kept.store.require(Station, "s1"))

    assert kept.store.get(Station, "s1") is None
    kept.settle()
    assert kept.store.get(Station, "s1") is None


def test_a_deleted_document_may_be_put_again(kept: Kept) -> None:
    _put(kept, Station(id="s1", rank=1))
    kept.store.delete(kept.store.require(Station, "s1"))
    _put(kept, Station(id="s1", rank=2))

    assert kept.store.require(Station, "s1").rank == 2


def test_get_many_returns_those_that_exist_by_id(kept: Kept) -> None:
    _put(kept, Station(id="s1", rank=1), Station(id="s2", rank=2))

    found = kept.store.get_many(Station, ["s2", "s9", "s1", "s2"])

    assert {id: station.rank for id, station in found.items()} == {"s1": 1, "s2": 2}


def test_require_names_what_is_missing(kept: Kept) -> None:
    with pytest.raises(NotFound) as missing:
        kept.store.require(Station, "s9", "station")

    assert (missing.value.resource_type, missing.value.resource_id) == ("station", "s9")


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, ["s1", "s2", "s3", "s4"]),
        ({"rank": 2}, ["s2"]),
        ({"rank__gte": 2}, ["s2", "s3"]),
        ({"rank__gt": 1, "rank__lt": 3}, ["s2"]),
        ({"rank__lte": 1}, ["s1", "s4"]),
        ({"rank__ne": 1}, ["s2", "s3", "s4"]),
        ({"rank__in": [1, 3]}, ["s1", "s3"]),
        ({"rank__nin": [1, 3]}, ["s2", "s4"]),
        ({"id__in": ["s1", "s4"]}, ["s1", "s4"]),
        ({"id": "s3"}, ["s3"]),
        ({"name": "beta", "rank": 2}, ["s2"]),
        ({"name": None}, ["s4"]),
        ({"name__exists": True}, ["s1", "s2", "s3"]),
        ({"place__ward": "Hải Châu"}, ["s1", "s3"]),
        ({"bands": "BAD"}, ["s2", "s3"]),
        ({"seen_at__gte": NOON}, ["s2", "s3"]),
        ({"seen_at__lt": NOON + timedelta(hours=1)}, ["s1", "s2"]),
    ],
    ids=str,
)
def test_find_takes_mongoengines_filters(kept: Kept, filters: dict[str, Any], ids: list[str]) -> None:
    _put(
        kept,
        Station(
            id="s1",
            name="alpha",
            rank=1,
            seen_at=NOON - timedelta(hours=1),
            place=Place(ward="Hải Châu"),
            bands=["GOOD"],
        ),
        Station(id="s2", name="beta", rank=2, seen_at=NOON, place=Place(ward="Sơn Trà"), bands=["GOOD", "BAD"]),
        Station(
            id="s3",
            name="gamma",
            rank=3,
            seen_at=NOON + timedelta(hours=1),
            place=Place(ward="Hải Châu"),
            bands=["BAD"],
        ),
        Station(id="s4"),
    )

    assert sorted(_ids(kept.store.find(Station, **filters))) == ids


@pytest.mark.parametrize(
    ("order_by", "limit", "ids"),
    [
        (["id"], None, ["s1", "s2", "s3", "s4"]),
        (["-id"], 2, ["s4", "s3"]),
        (["rank", "id"], None, ["s1", "s4", "s2", "s3"]),
        (["-rank", "-id"], 3, ["s3", "s2", "s4"]),
    ],
    ids=str,
)
def test_find_orders_and_limits(kept: Kept, order_by: list[str], limit: int | None, ids: list[str]) -> None:
    _put(kept, *(Station(id=id, rank=rank) for id, rank in (("s3", 7), ("s1", 1), ("s4", 1), ("s2", 2))))

    assert _ids(kept.store.find(Station, order_by=order_by, limit=limit)) == ids


def test_find_orders_what_lacks_the_field_first_as_mongodb_does(kept: Kept) -> None:
    _put(kept, Station(id="s1", name="b"), Station(id="s2"), Station(id="s3", name="a"))

    assert _ids(kept.store.find(Station, order_by=["name"])) == ["s2", "s3", "s1"]


def test_find_sees_a_document_of_this_run_as_the_run_left_it(kept: Kept) -> None:
    _put(kept, Station(id="s1", rank=1))
    station = kept.store.require(Station, "s1")
    station.rank = 5
    kept.store.put(station)

    [found] = kept.store.find(Station)

    assert found.rank == 5


def test_find_leaves_out_what_this_run_deleted(kept: Kept) -> None:
    _put(kept, Station(id="s1"), Station(id="s2"))
    kept.store.delete(kept.store.require(Station, "s1"))

    assert _ids(kept.store.find(Station)) == ["s2"]


@pytest.mark.parametrize(
    "wrong", [Station(id="s1", name="x" * 21), Station(id="s1", rank="many"), Station(id="s1", place=Place())], ids=str
)
def test_a_document_that_breaks_its_fields_is_not_stored(kept: Kept, wrong: Station) -> None:
    with pytest.raises(ValidationError):
        _put(kept, wrong)


def test_the_runtimes_own_fields_are_not_seen(kept: Kept) -> None:
    _put(kept, Station(id="s1"))

    assert "_rev" not in kept.store.require(Station, "s1").to_mongo()
