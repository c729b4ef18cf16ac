"""Handlers of events recall documents instead of reading them; what comes of it is as if they had read (ADR-0015)."""

from __future__ import annotations

import queue
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mongoengine import IntField, StringField
from pymongo import MongoClient
from pymongo.database import Database

from mesh import ALL, Document, subscribe
from mesh.commit import Committed, Committer, Outcome, Stale
from mesh.counter import COUNTER, PROGRESS
from mesh.errors import FailedPrecondition
from mesh.host import Host
from mesh.remembered import Remembered
from mesh.store import StoreSession
from mesh.unit import Run, Unit
from tests.hosts import Home, eventually
from tests.trial.contract import AmountRecorded
from tests.trial.services import Total, TrialService, WitnessService

Db = Database[dict[str, Any]]


class Gate(Document):
    """Lets amounts up to a limit pass."""

    id = StringField(primary_key=True)
    limit = IntField(required=True)
    meta = {"collection": "gates"}


class GuardedWitness(WitnessService):
    """The witness behind a gate it reads and never writes."""

    @subscribe(AmountRecorded, start=ALL)
    def see(self, amount: Any, event: Any) -> None:
        gate = self.store.get(Gate, "gate")
        if gate is not None and amount.amount > gate.limit:
            raise FailedPrecondition("the gate lets no such amount pass")
        super().see(amount, event)


class SelfWitness(TrialService):
    """Reads its totals in a handler of events, and answers requests for them."""

    @subscribe(AmountRecorded, start=ALL)
    def look(self, amount: Any, event: Any) -> None:
        self.store.get(Total, amount.key)


async def _record_one_by_one(home: Home, host: Host, count: int) -> None:
    """Each is handled in a run of its own: the first finds its document absent, the second reads it."""
    for number in range(1, count + 1):
        await home.trial(host).record("a")
        await eventually(lambda number=number: len(home.seen("a")) == number)


async def test_a_handler_does_not_ask_again_for_what_it_has_written(home: Home) -> None:
    host = await home.start(TrialService, WitnessService)
    trial, database = home.trial(host), home.database("witness")
    await _record_one_by_one(home, host, 2)
    database.command("profile", 2)

    for _ in range(3):
        await trial.record("a")
    await eventually(lambda: len(home.seen("a")) == 5)

    database.command("profile", 0)
    by_id = {"ns": f"{database.name}.sightings", "op": "query", "command.filter._id": {"$exists": True}}
    assert database["system.profile"].count_documents(by_id) == 0
    assert home.sightings()["a"]["total"] == 5


async def test_what_somebody_else_has_changed_is_read_and_no_effect_is_lost(home: Home) -> None:
    host = await home.start(TrialService, WitnessService)
    trial = home.trial(host)
    await _record_one_by_one(home, host, 2)

    home.database("witness")["sightings"].update_one({}, {"$inc": {"total": 100, "_rev": 1_000_000}})
    await trial.record("a")

    await eventually(lambda: len(home.seen("a")) == 3)
    assert home.sightings()["a"]["total"] == 103
    assert home.letters() == []


async def test_a_handler_that_fails_over_what_it_recalled_reads_before_it_counts_as_failed(home: Home) -> None:
    gates = home.database("witness")["gates"]
    gates.insert_one({"_id": "gate", "limit": 1, "_rev": 1})
    host = await home.start(TrialService, GuardedWitness, runtime={"handler_attempts": 1})
    trial = home.trial(host)
    await trial.record("a", 1)
    await eventually(lambda: home.seen("a"))

    gates.update_one({}, {"$set": {"limit": 5, "_rev": 2}})
    await trial.record("a", 5)

    await eventually(lambda: len(home.seen("a")) == 2)
    assert home.letters() == []


async def test_what_was_read_and_not_written_must_still_hold_when_the_effect_is_committed(home: Home) -> None:
    gates = home.database("witness")["gates"]
    gates.insert_one({"_id": "gate", "limit": 5, "_rev": 1})
    host = await home.start(TrialService, GuardedWitness, runtime={"handler_attempts": 1})
    trial = home.trial(host)
    await trial.record("a", 5)
    await eventually(lambda: home.seen("a"))

    gates.update_one({}, {"$set": {"limit": 1, "_rev": 2}})
    home.database("witness")[PROGRESS].update_one({"_id": COUNTER}, {"$inc": {"commit": 1}})  # as another process would
    await trial.record("a", 5)

    await eventually(home.letters)
    assert len(home.seen("a")) == 1


async def test_a_request_that_only_reads_is_answered_from_the_database(home: Home) -> None:
    host = await home.start(SelfWitness)
    trial, container = home.trial(host), host.containers["trial"]
    await trial.record("a", 3)
    await eventually(lambda: container.remembered.recall(("totals", "a")))

    home.database("trial")["totals"].update_one({}, {"$set": {"total": 7}})

    assert await trial.total("a") == 7


# --- two processes -----------------------------------------------------------------------------------------


@pytest.fixture
def client(database_uri: str) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](database_uri, tz_aware=True) as client:
        yield client


class Process:
    """A process that moves amounts between totals, over what it remembers and, after a conflict, over what it reads."""

    def __init__(self, database: Db) -> None:
        self._database = database
        self._remembered = Remembered(most_documents=2, most_bytes=10_000)
        self._committer = Committer(database, logs={})
        self._committer.start()

    def move(self, source: str, target: str, amount: int) -> None:
        if isinstance(self._try(source, target, amount, self._remembered), Stale):
            assert isinstance(self._try(source, target, amount, None), Committed)

    def _try(self, source: str, target: str, amount: int, remembered: Remembered | None) -> Outcome:
        unit = Unit()
        session = StoreSession(unit, self._database, remembered)
        for key, change in ((source, -amount), (target, amount)):
            total = session.get(Total, key) or Total(id=key)
            total.total += change
            session.put(total) if total.total else session.delete(total)
        session.seal()
        outcome = self._commit(Run([unit]))
        if isinstance(outcome, Stale):
            self._remembered.forget(outcome.addresses)
        elif isinstance(outcome, Committed):
            self._remembered.committed(Run([unit]).staged(), outcome.number)
        return outcome

    def _commit(self, run: Run) -> Outcome:
        answered: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._committer.submit(run, answered.put)
        return answered.get(timeout=30)

    def stop(self) -> None:
        self._committer.stop()


MOVES = st.lists(
    st.tuples(st.booleans(), st.permutations("abc"), st.integers(min_value=1, max_value=2)), min_size=1, max_size=12
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_two_processes_that_remember_come_to_what_one_that_reads_would(
    client: MongoClient[dict[str, Any]], database_prefix: str, moves: list[tuple[bool, list[str], int]]
) -> None:
    database = client[f"{database_prefix}two"]
    client.drop_database(database)
    processes = [Process(database), Process(database)]
    expected: dict[str, int] = defaultdict(int)

    for second, (source, target, _), amount in moves:
        processes[second].move(source, target, amount)
        expected[source] -= amount
        expected[target] += amount

    totals = {raw["_id"]: raw["total"] for raw in database["totals"].find()}
    assert totals == {key: total for key, total in expected.items() if total}
    for process in processes:
        process.stop()


def test_a_unit_that_only_recalled_is_committed_and_found_stale(
    client: MongoClient[dict[str, Any]], database_prefix: str
) -> None:
    """So nothing that was recalled can decide an answer unchecked, whoever forgets to ask."""
    database = client[f"{database_prefix}only"]
    remembered = Remembered(most_documents=2, most_bytes=1000)
    remembered.read(("totals", "a"), {"_id": "a", "total": 1, "_rev": 1})
    database["totals"].insert_one({"_id": "a", "total": 2, "_rev": 2})
    unit, answered = Unit(), queue.SimpleQueue[Outcome]()

    StoreSession(unit, database, remembered).get(Total, "a")
    committer = Committer(database, logs={})
    committer.start()
    committer.submit(Run([unit]), answered.put)
    committer.stop()

    assert unit.to_commit
    assert answered.get(timeout=30) == Stale((("totals", "a"),))
