"""The store of a handler run: what it reads leaves a view, what it writes is staged, and each read costs one trip."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from mongoengine import IntField, StringField
from pymongo import MongoClient
from pymongo.database import Database

from mesh import rpc
from mesh.indexes import ensure_indexes
from mesh.store import Document, StagedInRun, StoreSession
from mesh.unit import Unit
from tests.hosts import CommandNames, Home, record_request
from tests.trial.contract import RecordResponse
from tests.trial.services import Total, TrialService

Db = Database[dict[str, Any]]


class Thing(Document):
    """A document with a revision in the database."""

    id = StringField(primary_key=True)
    n = IntField(default=0)
    meta = {"collection": "things", "indexes": ["n", {"fields": ["-n", "id"], "sparse": True}]}


class ThingService:
    """Owns things."""

    name = "things"


@pytest.fixture
def trips() -> CommandNames:
    return CommandNames()


@pytest.fixture
def database(database_uri: str, database_prefix: str, trips: CommandNames) -> Iterator[Db]:
    """Two things, written by commits 3 and 4."""
    with MongoClient[dict[str, Any]](database_uri, event_listeners=[trips]) as client:
        database = client[f"{database_prefix}store"]
        database["things"].insert_many([{"_id": "a", "n": 1, "_rev": 3}, {"_id": "b", "n": 2, "_rev": 4}])
        trips.names.clear()
        yield database


@pytest.fixture
def unit() -> Unit:
    return Unit()


@pytest.fixture
def session(unit: Unit, database: Db) -> StoreSession:
    return StoreSession(unit, database)


def test_a_document_asked_for_twice_is_the_same_object_and_one_trip(session: StoreSession, trips: CommandNames) -> None:
    assert session.get(Thing, "a") is session.get(Thing, "a")
    assert trips.names == ["find"]


def test_many_documents_are_one_trip_and_known_ones_none(session: StoreSession, trips: CommandNames) -> None:
    session.get_many(Thing, ["a", "b", "c"])
    session.get_many(Thing, ["c", "b"])

    assert trips.names == ["find"]


def test_reading_leaves_a_view_of_the_revision_and_of_absence(session: StoreSession, unit: Unit) -> None:
    session.get_many(Thing, ["a", "c"])

    assert unit.views == {("things", "a"): 3, ("things", "c"): 0}


def test_what_a_query_found_leaves_views_too(session: StoreSession, unit: Unit) -> None:
    session.find(Thing, n__gte=2)

    assert unit.views == {("things", "b"): 4}


def test_a_document_written_without_reading_must_not_exist(session: StoreSession, unit: Unit) -> None:
    session.put(Thing(id="new"))
    session.seal()

    assert unit.views == {("things", "new"): 0}


def test_nothing_is_written_before_the_commit(session: StoreSession, database: Db, trips: CommandNames) -> None:
    session.put(Thing(id="new"))
    session.delete(session.require(Thing, "a"))
    session.seal()

    assert set(trips.names) == {"find"}
    assert {raw["_id"] for raw in database["things"].find()} == {"a", "b"}


def test_a_document_is_staged_as_it_is_when_the_handler_returns(session: StoreSession, unit: Unit) -> None:
    thing = session.require(Thing, "a")
    session.put(thing)
    thing.n = 9

    written = session.seal()

    assert unit.staged == {("things", "a"): {"_id": "a", "n": 9}}
    assert written == ["Thing"]


def test_a_document_only_read_is_not_staged(session: StoreSession, unit: Unit) -> None:
    session.require(Thing, "a").n = 9

    session.seal()

    assert not unit.staged
    assert not unit.to_commit


def test_a_deletion_is_staged_with_the_view_it_was_decided_on(session: StoreSession, unit: Unit) -> None:
    session.delete(session.require(Thing, "a"))

    assert unit.staged == {("things", "a"): None}
    assert unit.views == {("things", "a"): 3}


def test_a_query_returns_a_known_document_as_it_is_known(session: StoreSession) -> None:
    known = session.require(Thing, "a")
    known.n = 7

    found = session.find(Thing, order_by=["id"])

    assert found[0] is known
    assert [thing.n for thing in found] == [7, 2]


def test_a_unit_of_a_run_reads_through_what_those_before_it_staged(database: Db, trips: CommandNames) -> None:
    unit = Unit(beneath={("things", "a"): {"_id": "a", "n": 5}, ("things", "b"): None})
    session = StoreSession(unit, database)

    assert session.require(Thing, "a").n == 5
    assert session.get(Thing, "b") is None
    assert trips.names == []
    assert unit.views == {}


def test_a_query_over_what_a_run_only_staged_asks_to_commit_first(database: Db) -> None:
    session = StoreSession(Unit(beneath={("things", "a"): {"_id": "a"}}), database)

    with pytest.raises(StagedInRun):
        session.find(Thing)


def test_a_renewed_session_knows_nothing(session: StoreSession, trips: CommandNames) -> None:
    first = session.get(Thing, "a")
    session.renew(Unit())

    assert session.get(Thing, "a") is not first
    assert trips.names == ["find", "find"]


def test_indexes_that_documents_declare_are_created_once(database: Db) -> None:
    for _ in range(2):
        ensure_indexes(database, ThingService, timedelta(days=7))

    keys = {tuple(index["key"].items()) for index in database["things"].list_indexes()}
    assert keys == {(("_id", 1),), (("n", 1),), (("n", -1), ("_id", 1))}
    [expiry] = [index for index in database["requests"].list_indexes() if "expireAfterSeconds" in index]
    assert expiry["expireAfterSeconds"] == 7 * 24 * 3600


async def test_a_handler_that_queries_what_its_stream_just_wrote_sees_it(home: Home) -> None:
    class Counting(TrialService):
        @rpc(each_message=True)
        def record_each(self, request):
            self.record(request)
            return RecordResponse(total=len(self.store.find(Total)))

    host = await home.start(Counting)

    answers = await home.trial(host).record_each(record_request(f"k{n}") for n in range(6))

    assert [answer.total for answer in answers] == list(range(6))
    assert home.database("trial")["totals"].count_documents({}) == 6
