"""Group commit: many units in one transaction, none of which can fail its neighbour."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from mesh import rpc
from mesh.commit import Committed, Committer, Failed, Outcome, Stale
from mesh.counter import COUNTER, PROGRESS
from mesh.errors import ResourceExhausted, Unavailable
from mesh.log import Log
from mesh.marks import Mark, Start, forget
from mesh.unit import Outgoing, Run, Unit
from tests.conftest import RunningMongod
from tests.hosts import Home, eventually, record_request
from tests.integration.conftest import FailingMongod
from tests.trial.services import TrialService

LINE = "da-nang/trial/amount/{}"
EVENTS = Log("events", "EVENTS_X", ("events.>",), "events.x.trial._void.0")
Db = Database[dict[str, Any]]
MakeCommitter = Callable[..., Committer]


@pytest.fixture
def database(mongod: RunningMongod, database_prefix: str) -> Iterator[Db]:
    with _client(mongod) as client:
        yield client[f"{database_prefix}commit"]


@pytest.fixture
def committer(database: Db) -> Iterator[MakeCommitter]:
    """Makes committers on the database; what is submitted before `start` waits together."""
    made = []

    def make(on: Db = database, **options: Any) -> Committer:
        made.append(Committer(on, logs={"events": EVENTS}, service="trial", **options))
        return made[-1]

    yield make
    for one in made:
        if one._thread.is_alive():
            one.stop()


def _client(mongod: RunningMongod, **options: Any) -> MongoClient[dict[str, Any]]:
    options |= {"serverSelectionTimeoutMS": 2000, "socketTimeoutMS": 20_000}
    return MongoClient(mongod.uri, w="majority", journal=True, readConcernLevel="majority", tz_aware=True, **options)


def _event(line: str = LINE.format(0), size: int = 3) -> Outgoing:
    headers = {"ce-id": uuid.uuid4().hex, "ce-sequence": "0", "ce-originsequence": "0", "ce-keyrevision": "0"}
    return Outgoing("events", line, "events.da-nang.trial.amount.0", headers, b"x" * size, "AmountRecorded")


def _writes(id: str, *events: Outgoing, seen: int = 0, deadline: float | None = None, **fields: Any) -> Run:
    """A run of one unit that has seen a document at a revision and writes it."""
    unit = Unit()
    unit.saw(("things", id), seen)
    unit.stage(("things", id), {"_id": id, **fields})
    unit.outgoing += events
    return Run([unit], deadline)


def _reads(seen: Mapping[str, int], writes: str) -> Run:
    """A run of one unit that has seen documents at revisions and creates another."""
    run = _writes(writes)
    for id, revision in seen.items():
        run.units[0].saw(("things", id), revision)
    return run


class Answers:
    """Collects what became of runs, in the order they were submitted."""

    def __init__(self, committer: Committer, *runs: Run) -> None:
        self._queues: list[queue.SimpleQueue[Outcome]] = []
        for run in runs:
            answered: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
            self._queues.append(answered)
            committer.submit(run, answered.put)

    def all(self) -> list[Outcome]:
        return [answered.get(timeout=30) for answered in self._queues]


def _positions(database: Db) -> list[int]:
    return [entry["_id"] for entry in database["log"].find().sort("_id")]


def _sequences(database: Db, line: str) -> list[int]:
    return [entry["sequence"] for entry in database["log"].find({"line": line}).sort("_id")]


def _commits(database: Db) -> int:
    counter = database[PROGRESS].find_one({"_id": "counter"})
    assert counter is not None
    return int(counter["commit"])


def _kinds(outcomes: list[Outcome]) -> list[type[Outcome]]:
    return [type(outcome) for outcome in outcomes]


# --- one transaction for many ---------------------------------------------------------------------------------


def test_runs_that_wait_together_are_committed_together(database: Db, committer: MakeCommitter) -> None:
    group = committer()
    answers = Answers(group, *(_writes(f"t{n}", _event()) for n in range(50)))

    group.start()

    outcomes = answers.all()
    assert {outcome.number for outcome in outcomes if isinstance(outcome, Committed)} == {1}
    assert len(outcomes) == 50
    assert _commits(database) == 1
    assert database["things"].count_documents({"_rev": 1}) == 50


def test_a_lone_run_is_committed_by_whoever_has_it(database: Db, committer: MakeCommitter) -> None:
    group = committer()
    group.start()

    with group.quiet() as mine:
        outcome = group.commit(_writes("t1", _event()))

    assert mine
    assert isinstance(outcome, Committed)
    assert _kinds(Answers(group, _writes("t2", _event())).all()) == [Committed]
    assert _positions(database) == [1, 2]


def test_while_somebody_commits_or_waits_to_it_is_not_quiet(committer: MakeCommitter) -> None:
    group = committer()

    with group.quiet() as first, group.quiet() as second:
        assert (first, second) == (True, False)

    waiting = Answers(group, _writes("t1"))
    with group.quiet() as overtaking:
        assert not overtaking
    group.start()
    assert _kinds(waiting.all()) == [Committed]


def test_workers_and_the_own_thread_commit_in_turn(database: Db, committer: MakeCommitter) -> None:
    """However they meet, every event gets its own number and none is left out."""
    group = committer()
    group.start()
    committed_by_workers = []

    def work(worker: int) -> None:
        for n in range(25):
            run = _writes(f"t{worker}-{n}", _event())
            with group.quiet() as mine:
                outcome = group.commit(run) if mine else None
            if outcome is None:
                [outcome] = Answers(group, run).all()
            else:
                committed_by_workers.append(outcome)
            assert isinstance(outcome, Committed)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 0 < len(committed_by_workers) < 150
    assert _positions(database) == list(range(1, 151))
    assert _sequences(database, LINE.format(0)) == list(range(1, 151))


def test_a_commit_costs_as_many_commands_for_fifty_units_as_for_one(database: Db, committer: MakeCommitter) -> None:
    group = committer()
    answers = Answers(group, *(_writes(f"t{n}", _event()) for n in range(50)))
    database.create_collection("things")
    database.create_collection("log")
    database.command("profile", 2)

    group.start()
    answers.all()
    second = Answers(group, *(_writes(f"u{n}", _event()) for n in range(50))).all()

    assert _kinds(second) == [Committed] * 50
    done = database["system.profile"].find({"op": {"$in": ["query", "insert", "update", "remove"]}})
    commands = [f"{entry['op']} {entry['ns'].partition('.')[2]}" for entry in done]
    looking = ["query progress", "query things", "query progress"]
    assert [name for name in commands if name in looking] == looking, "only the start and the first commit have to look"
    # New documents are inserted: a duplicate would show that one was not as its unit saw it.
    assert commands[-3:] == ["update progress", "insert things", "insert log"]


def test_marks_are_moved_by_the_command_that_counts(database: Db, committer: MakeCommitter) -> None:
    group = committer()
    group.start()
    first = Mark("s|S|0", "s", "S", 0, Start(0, {}))
    assert _kinds(Answers(group, Run([first.advance({}, 1)])).all()) == [Committed]
    loaded = Mark.load(database, "s", "S", 0, Start(0, {}))
    database.command("profile", 2)

    moved = Answers(group, Run([loaded.advance({}, 2)])).all()
    late = Answers(group, Run([loaded.advance({}, 3)])).all()

    assert _kinds(moved) == [Committed]
    assert _kinds(late) == [Stale], "another has moved it since it was read"
    assert Mark.load(database, "s", "S", 0, Start(0, {})).position == 2
    updates = database["system.profile"].find({"op": "update", "ninserted": {"$exists": False}})
    assert {entry["ns"].partition(".")[2] for entry in updates} == {PROGRESS}


def test_counter_and_marks_are_taken_over_from_where_they_lay_before(database: Db, committer: MakeCommitter) -> None:
    lines = {LINE.format(0): 7}
    database["counter"].insert_one({"_id": COUNTER, "commit": 4, "logs": {"events": {"position": 9, "lines": lines}}})
    database["marks"].insert_one({"_id": "s|S|0", "_rev": 3, "position": 5, "lines": {}})
    group = committer()

    group.start()

    outcomes = Answers(group, _writes("t1", _event())).all()
    assert isinstance(outcomes[0], Committed)
    assert outcomes[0].number == 5
    assert (_positions(database), _sequences(database, LINE.format(0))) == ([10], [8])
    assert Mark.load(database, "s", "S", 0, Start(0, {})).position == 5


def test_a_mark_that_others_have_forgotten_is_no_reason_to_count(database: Db, committer: MakeCommitter) -> None:
    """A run whose mark is gone is stale, and nothing of it is written; who commits with it is not held up."""
    group = committer()
    group.start()
    Answers(group, Run([Mark("s|S|0", "s", "S", 0, Start(0, {})).advance({}, 1)])).all()
    loaded = Mark.load(database, "s", "S", 0, Start(0, {}))
    forget(database, "s")
    outcomes = Answers(group, Run([loaded.advance({}, 2)]), _writes("t1", _event())).all()

    assert _kinds(outcomes) == [Stale, Committed]
    assert _positions(database) == [1]


def test_positions_are_contiguous_and_each_line_has_its_own_sequence(database: Db, committer: MakeCommitter) -> None:
    group = committer(batch_units=7)
    answers = Answers(group, *(_writes(f"t{n}", _event(LINE.format(n % 3)), _event(LINE.format(7))) for n in range(30)))

    group.start()

    assert _kinds(answers.all()) == [Committed] * 30
    assert _positions(database) == list(range(1, 61))
    for partition in range(3):
        assert _sequences(database, LINE.format(partition)) == list(range(1, 11))
    assert _sequences(database, LINE.format(7)) == list(range(1, 31))


def test_a_logged_event_carries_its_number_and_that_it_was_born_here(database: Db, committer: MakeCommitter) -> None:
    group = committer()
    group.start()
    answers = Answers(group, _writes("a", _event(), _event()))

    answers.all()

    second = database["log"].find_one({"_id": 2})
    assert second is not None
    assert second["sequence"] == 2
    numbers = [second["headers"][name] for name in ("ce-sequence", "ce-originsequence", "ce-keyrevision")]
    assert numbers == ["2", "2", "2"]


def test_an_event_from_another_log_keeps_its_number_at_birth(database: Db, committer: MakeCommitter) -> None:
    group = committer()
    group.start()
    foreign = _event()
    foreign.headers |= {"ce-originsequence": "17", "ce-keyrevision": "17"}

    Answers(group, _writes("a", foreign)).all()

    [entry] = database["log"].find()
    numbers = [entry["headers"][name] for name in ("ce-sequence", "ce-originsequence", "ce-keyrevision")]
    assert numbers == ["1", "17", "17"]


@pytest.mark.parametrize(
    ("caps", "commits"), [({"batch_units": 4}, 3), ({"batch_bytes": 3000}, 4)], ids=["by units", "by bytes"]
)
def test_batches_are_capped(database: Db, committer: MakeCommitter, caps: dict[str, int], commits: int) -> None:
    group = committer(**caps)
    answers = Answers(group, *(_writes(f"t{n}", _event()) for n in range(12)))

    group.start()

    assert _kinds(answers.all()) == [Committed] * 12
    assert _commits(database) == commits


def test_what_was_submitted_is_committed_before_the_committer_stops(database: Db, committer: MakeCommitter) -> None:
    group = committer(batch_units=5)
    answers = Answers(group, *(_writes(f"t{n}") for n in range(23)))

    group.start()
    group.stop()

    assert _kinds(answers.all()) == [Committed] * 23
    assert database["things"].count_documents({}) == 23


# --- stale views ----------------------------------------------------------------------------------------------


def test_a_stale_unit_is_taken_out_and_fails_no_neighbour(database: Db, committer: MakeCommitter) -> None:
    database["things"].insert_one({"_id": "b", "_rev": 41, "by": "somebody else"})
    group = committer()
    answers = Answers(group, _writes("a", _event()), _writes("b", _event(), seen=40, by="us"), _writes("c", _event()))

    group.start()

    first, second, third = answers.all()
    assert isinstance(first, Committed)
    assert second == Stale((("things", "b"),))
    assert isinstance(third, Committed)
    found = database["things"].find_one({"_id": "b"})
    assert found is not None
    assert found["by"] == "somebody else"
    assert _positions(database) == [1, 2]


def test_a_document_somebody_created_meanwhile_makes_its_absence_stale(database: Db, committer: MakeCommitter) -> None:
    group = committer()
    group.start()
    Answers(group, _writes("a", by="first")).all()

    [outcome] = Answers(group, _writes("a", by="second")).all()

    assert outcome == Stale((("things", "a"),))


def test_a_document_somebody_deleted_meanwhile_makes_its_view_stale(database: Db, committer: MakeCommitter) -> None:
    group = committer()
    group.start()
    [created] = Answers(group, _writes("a")).all()
    assert isinstance(created, Committed)
    database["things"].delete_one({"_id": "a"})

    [outcome] = Answers(group, _writes("a", seen=created.number)).all()

    assert outcome == Stale((("things", "a"),))


# --- what is known as long as nobody else commits -----------------------------------------------------------------


@pytest.fixture
def watched(database: Db, committer: MakeCommitter) -> tuple[Committer, int]:
    """A committer that has read a document, and the document's revision."""
    group = committer()
    group.start()
    [created] = Answers(group, _writes("gate")).all()
    assert isinstance(created, Committed)
    assert _kinds(Answers(group, _reads({"gate": created.number}, writes="first")).all()) == [Committed]
    return group, created.number


def _looks(database: Db, commit: Callable[[], object]) -> int:
    """How often documents are looked at during a commit."""
    database.command("profile", 2)
    commit()
    database.command("profile", 0)
    return database["system.profile"].count_documents({"op": "query", "ns": f"{database.name}.things"})


def test_a_document_that_is_only_read_is_looked_at_once(database: Db, watched: tuple[Committer, int]) -> None:
    group, revision = watched

    assert _looks(database, Answers(group, _reads({"gate": revision}, writes="second")).all) == 0

    assert database["things"].find_one({"_id": "second"}) is not None


def test_what_another_process_has_changed_is_not_known_any_more(
    watched: tuple[Committer, int], committer: MakeCommitter
) -> None:
    group, revision = watched
    other = committer()
    other.start()
    [changed] = Answers(other, _writes("gate", seen=revision)).all()
    assert isinstance(changed, Committed)

    assert Answers(group, _reads({"gate": revision}, writes="second")).all() == [Stale((("things", "gate"),))]
    assert _kinds(Answers(group, _reads({"gate": changed.number}, writes="second")).all()) == [Committed]


def test_what_was_changed_here_is_known_as_it_is_now(database: Db, watched: tuple[Committer, int]) -> None:
    group, revision = watched
    [changed] = Answers(group, _writes("gate", seen=revision)).all()
    assert isinstance(changed, Committed)

    assert _looks(database, Answers(group, _reads({"gate": changed.number}, writes="second")).all) == 0
    assert Answers(group, _reads({"gate": revision}, writes="third")).all() == [Stale((("things", "gate"),))]


def test_what_was_deleted_here_is_known_to_be_gone(watched: tuple[Committer, int]) -> None:
    group, revision = watched
    removal = Unit()
    removal.saw(("things", "gate"), revision)
    removal.stage(("things", "gate"), None)
    assert _kinds(Answers(group, Run([removal])).all()) == [Committed]

    assert Answers(group, _reads({"gate": revision}, writes="second")).all() == [Stale((("things", "gate"),))]
    assert _kinds(Answers(group, _reads({"gate": 0}, writes="third")).all()) == [Committed]


def test_of_two_runs_that_write_one_document_the_second_is_stale(database: Db, committer: MakeCommitter) -> None:
    group = committer()
    answers = Answers(group, _writes("a", _event(), by="first"), _writes("a", _event(), by="second"))

    group.start()

    assert _kinds(answers.all()) == [Committed, Stale]
    [found] = database["things"].find()
    assert found["by"] == "first"
    assert _positions(database) == [1]


def test_a_run_that_read_what_another_of_its_batch_writes_is_stale(database: Db, committer: MakeCommitter) -> None:
    reader = Unit()
    reader.saw(("things", "a"), 0)
    reader.stage(("things", "b"), {"_id": "b"})
    group = committer()
    answers = Answers(group, _writes("a"), Run([reader]))

    group.start()

    assert answers.all()[1] == Stale((("things", "a"),))
    assert database["things"].count_documents({"_id": "b"}) == 0


def test_units_of_one_run_build_on_each_other(database: Db, committer: MakeCommitter) -> None:
    first = Unit()
    first.stage(("things", "a"), {"_id": "a", "n": 1})
    second = Unit(beneath=first.staged)
    second.stage(("things", "a"), {"_id": "a", "n": 2})
    group = committer()
    group.start()

    [outcome] = Answers(group, Run([first, second])).all()

    assert isinstance(outcome, Committed)
    [found] = database["things"].find()
    assert found["n"] == 2


def test_a_run_stands_or_falls_as_a_whole(database: Db, committer: MakeCommitter) -> None:
    database["things"].insert_one({"_id": "b", "_rev": 5})
    good, stale = Unit(), Unit()
    good.stage(("things", "a"), {"_id": "a"})
    stale.stage(("things", "b"), {"_id": "b"})
    group = committer()
    group.start()

    [outcome] = Answers(group, Run([good, stale])).all()

    assert outcome == Stale((("things", "b"),))
    assert database["things"].count_documents({"_id": "a"}) == 0


def test_a_deleted_document_is_gone_with_the_commit(database: Db, committer: MakeCommitter) -> None:
    group = committer()
    group.start()
    [created] = Answers(group, _writes("a")).all()
    assert isinstance(created, Committed)
    unit = Unit()
    unit.saw(("things", "a"), created.number)
    unit.stage(("things", "a"), None)

    Answers(group, Run([unit])).all()

    assert database["things"].count_documents({}) == 0


# --- what cannot be stored --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", ["x" * 17_000_000, object()], ids=["a document too large", "a value MongoDB does not know"]
)
def test_what_cannot_be_stored_fails_alone(database: Db, committer: MakeCommitter, content: Any) -> None:
    group = committer()
    answers = Answers(group, _writes("a", _event()), _writes("b", _event(), content=content), _writes("c", _event()))

    group.start()

    assert _kinds(answers.all()) == [Committed, Failed, Committed]
    assert {raw["_id"] for raw in database["things"].find()} == {"a", "c"}
    assert _positions(database) == [1, 2]
    assert _sequences(database, LINE.format(0)) == [1, 2]


def test_documents_too_large_only_together_are_all_stored(database: Db, committer: MakeCommitter) -> None:
    group = committer()
    answers = Answers(group, *(_writes(f"t{n}", content="x" * 6_000_000) for n in range(4)))

    group.start()

    assert _kinds(answers.all()) == [Committed] * 4


# --- too much, too fast -------------------------------------------------------------------------------------------


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(database: Db, committer: MakeCommitter) -> None:
    group = committer(queue_limit=3)
    soon = time.monotonic() + 30
    answers = Answers(group, *(_writes(f"t{n}", deadline=soon) for n in range(3)))

    [refused] = Answers(group, _writes("late", deadline=soon)).all()

    assert isinstance(refused, Failed)
    assert isinstance(refused.error, ResourceExhausted)
    assert refused.error.retry_after_s
    group.start()
    assert _kinds(answers.all()) == [Committed] * 3
    assert database["things"].count_documents({"_id": "late"}) == 0


def test_a_full_queue_still_takes_what_must_happen_some_day(database: Db, committer: MakeCommitter) -> None:
    group = committer(queue_limit=1)
    answers = Answers(group, _writes("a"), _writes("b", deadline=None))

    group.start()

    assert _kinds(answers.all()) == [Committed] * 2


def test_a_run_past_its_deadline_is_not_committed_late(database: Db, committer: MakeCommitter) -> None:
    group = committer()
    answers = Answers(group, _writes("late", deadline=time.monotonic() - 1), _writes("soon"))

    group.start()

    late, soon = answers.all()
    assert isinstance(late, Failed)
    assert isinstance(late.error, Unavailable)
    assert isinstance(soon, Committed)
    assert {raw["_id"] for raw in database["things"].find()} == {"soon"}


# --- two processes ------------------------------------------------------------------------------------------------


def test_two_committers_of_one_service_interleave_and_number_contiguously(
    database: Db, mongod: RunningMongod, committer: MakeCommitter
) -> None:
    with _client(mongod) as other_client:
        ours = committer(batch_units=3)
        theirs = committer(other_client[database.name], batch_units=3)
        answers = [
            Answers(ours, *(_writes(f"a{n}", _event(LINE.format(n % 2))) for n in range(60))),
            Answers(theirs, *(_writes(f"b{n}", _event(LINE.format(n % 2))) for n in range(60))),
        ]

        ours.start()
        theirs.start()

        outcomes = [outcome for side in answers for outcome in side.all()]
        theirs.stop()
    assert _kinds(outcomes) == [Committed] * 120
    assert _positions(database) == list(range(1, 121))
    for partition in range(2):
        assert _sequences(database, LINE.format(partition)) == list(range(1, 61))
    assert len({outcome.number for outcome in outcomes if isinstance(outcome, Committed)}) == _commits(database)


def test_of_two_processes_that_create_a_document_at_once_one_is_stale(
    mongod: RunningMongod, database_prefix: str, committer: MakeCommitter
) -> None:
    """In a database that is new, where no collection exists yet."""
    with _client(mongod) as client, _client(mongod) as other_client:
        for n in range(60):
            name = f"{database_prefix}new{n}"
            ours, theirs = committer(client[name]), committer(other_client[name])
            ours.start()
            theirs.start()

            answers = [Answers(one, _writes("a", _event())) for one in (ours, theirs)]

            outcomes = [outcome for side in answers for outcome in side.all()]
            assert sorted(kind.__name__ for kind in _kinds(outcomes)) == ["Committed", "Stale"]
            client.drop_database(name)


async def test_two_hosts_of_one_service_lose_no_increment(home: Home) -> None:
    first, second = await home.start(TrialService), await home.start(TrialService)

    answers = await asyncio.gather(
        home.trial(first).record_many(record_request("a", 1) for _ in range(40)),
        home.trial(second).record_many(record_request("a", 1) for _ in range(40)),
    )

    totals = sorted(answer.total for side in answers for answer in side)
    assert totals == list(range(1, 81))
    assert [raw["_id"] for raw in home.log()] == list(range(1, 81))
    assert home.logged("a") == list(range(1, 81))


async def test_many_writers_of_one_document_are_all_answered(home: Home) -> None:
    host = await home.start(TrialService)
    before = home.counter()["commit"]

    answers = await home.trial(host).record_many(record_request("a", 1) for _ in range(100))

    assert sorted(answer.total for answer in answers) == list(range(1, 101))
    assert home.counter()["commit"] - before < 50


async def test_a_call_that_loses_every_time_is_aborted_after_bounded_tries(home: Home) -> None:
    tries = []

    class Unlucky(TrialService):
        @rpc
        def record(self, request):
            answer = super().record(request)
            tries.append(1)  # and somebody else is always faster
            home.database("trial")["totals"].update_one({"_id": "a"}, {"$inc": {"_rev": 1}}, upsert=True)
            return answer

    host = await home.start(Unlucky)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await home.trial(host).record("a")

    assert refused.value.code() == grpc.StatusCode.ABORTED
    assert 1 < len(tries) < 20
    assert home.log() == []


# --- an unknown commit result -------------------------------------------------------------------------------------


@pytest.fixture
def doubtful(failing_mongod: FailingMongod, committer: MakeCommitter) -> Iterator[tuple[FailingMongod, Db, Committer]]:
    with _client(failing_mongod) as client:
        database = client[f"doubtful_{uuid.uuid4().hex}"]
        group = committer(database)
        group.start()
        yield failing_mongod, database, group
        group.stop()


def test_a_commit_whose_answer_was_lost_is_not_run_again(doubtful: tuple[FailingMongod, Db, Committer]) -> None:
    mongod, database, group = doubtful
    lost = {"code": 64, "errmsg": "waiting for replication timed out"}
    with _client(mongod) as client:
        witness = client[database.name]
        with mongod.failing("commitTransaction", writeConcernError=lost):
            answers = Answers(group, _writes("a", _event()))
            _until(lambda: _positions(witness) == [1])  # durable, and yet the committer cannot know
        with mongod.failing("commitTransaction", errorCode=251):  # NoSuchTransaction: asking again tells nothing
            [outcome] = answers.all()

        assert isinstance(outcome, Committed)
        assert _positions(witness) == [1]
        assert _commits(witness) == 1


def test_a_commit_that_never_arrived_is_run_again(doubtful: tuple[FailingMongod, Db, Committer]) -> None:
    mongod, database, group = doubtful
    attempts = _count_attempts(group)
    with mongod.failing("commitTransaction", closeConnection=True):
        answers = Answers(group, _writes("a", _event()))
        _until(lambda: attempts() == 1)
        with _client(mongod) as client:
            client.admin.command("killAllSessions", [])  # the open transaction is gone, as after a failover

    [outcome] = answers.all()

    assert isinstance(outcome, Committed)
    assert attempts() == 2
    assert _positions(database) == [1]
    assert database["things"].count_documents({}) == 1


def test_a_transaction_that_conflicts_is_tried_again(doubtful: tuple[FailingMongod, Db, Committer]) -> None:
    mongod, database, group = doubtful
    attempts = _count_attempts(group)
    with mongod.failing("insert", errorCode=112, errorLabels=["TransientTransactionError"]):
        answers = Answers(group, _writes("a", _event()))
        _until(lambda: attempts() > 2)

    assert _kinds(answers.all()) == [Committed]
    assert _positions(database) == [1]


def test_a_mongod_killed_amid_commits_loses_nothing_answered_and_doubles_nothing(
    new_mongod: RunningMongod, committer: MakeCommitter
) -> None:
    with _client(new_mongod) as client:
        database = client["killed"]
        group = committer(database, batch_units=5)
        group.start()
        committed: list[str] = []
        submitted = threading.Semaphore(40)

        def write(n: int) -> None:
            def answer(outcome: Outcome) -> None:
                submitted.release()
                if isinstance(outcome, Committed):
                    committed.append(f"t{n}")

            group.submit(_writes(f"t{n}", _event()), answer)

        for n in range(400):
            submitted.acquire()
            write(n)
            if n == 150:
                new_mongod.kill(restart=True)
        group.stop()

        assert sorted(committed) == sorted(f"t{n}" for n in range(400))
        assert database["things"].count_documents({}) == 400
        assert _positions(database) == list(range(1, 401))
        assert _sequences(database, LINE.format(0)) == list(range(1, 401))


def _count_attempts(committer: Committer) -> Callable[[], int]:
    """How often the committer has begun a transaction from now on."""
    begun = []
    transactions = committer._transactions
    begin = transactions._begin

    def counted() -> Any:
        begun.append(1)
        return begin()

    transactions._begin = counted  # type: ignore[method-assign]
    return lambda: len(begun)


def _until(condition: Callable[[], bool]) -> None:
    asyncio.run(eventually(condition))
