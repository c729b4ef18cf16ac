"""Subscriptions: every event takes effect exactly once and in order, judged by a witness that is not idempotent."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from mongoengine import IntField, StringField

from mesh import ALL, ANY, NEW, Document, Store, rpc, subscribe
from mesh.cursor import Cursor
from mesh.errors import ContractError, Unavailable
from mesh.events import PARTITIONS, partition_of
from mesh.marks import MARKS, Mark
from mesh.members import Members
from mesh.unit import Unit
from tests.conftest import RunningMongod, RunningNats
from tests.hosts import Home, Homes, eventually, record_request, witness
from tests.trial.contract import AmountForgotten, AmountRecorded, RecordResponse
from tests.trial.services import Sighting, TrialService, WitnessService

KEYS = [f"k{n}" for n in range(20)]


class Acknowledged:
    """What clients were told is written: the witness is compared with this, never with the marks."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._amounts: dict[str, list[int]] = {}

    async def write(self, host: Any, count: int, *, amount: int = 1) -> None:
        trial = self._home.trial(host)
        keys = [KEYS[n % len(KEYS)] for n in range(count)]
        await trial.record_many(record_request(key, amount) for key in keys)
        for key in keys:
            self._amounts.setdefault(key, []).append(amount)

    def seen_once(self) -> bool:
        """Whether the witness has seen each amount once, and each key's in the order of the log."""
        seen = self._home.sightings()
        return {key: (raw["count"], raw["total"]) for key, raw in seen.items()} == {
            key: (len(amounts), sum(amounts)) for key, amounts in self._amounts.items()
        }

    async def settled(self) -> None:
        """Returns when all is seen; fails when anything was seen twice, lost, or out of order."""
        await eventually(lambda: self.total_seen() >= self.total())
        assert self.seen_once()
        for key in self._amounts:
            assert self._home.seen(key) == self._home.logged(key)

    def total(self) -> int:
        return sum(sum(amounts) for amounts in self._amounts.values())

    def total_seen(self) -> int:
        return sum(raw["total"] for raw in self._home.sightings().values())


@pytest.fixture
def acknowledged(home: Home) -> Acknowledged:
    return Acknowledged(home)


# --- exactly once -------------------------------------------------------------------------------------------------


async def test_each_event_takes_effect_once_and_in_order(home: Home, acknowledged: Acknowledged) -> None:
    host = await home.start(TrialService, WitnessService)

    await acknowledged.write(host, 200)

    await acknowledged.settled()


async def test_an_effect_says_which_event_caused_it(home: Home, acknowledged: Acknowledged) -> None:
    host = await home.start(TrialService, WitnessService)
    await acknowledged.write(host, 30)
    await acknowledged.settled()

    effects = list(home.database("witness")["effects"].find())

    assert sorted(effect["causation_id"] for effect in effects) == sorted(e["headers"]["ce-id"] for e in home.log())
    assert all(effect["committed"] == {"Sighting": 1} for effect in effects)


async def test_a_restart_repeats_nothing_and_loses_nothing(home: Home, acknowledged: Acknowledged) -> None:
    trial = await home.start(TrialService)
    watching = await home.start(WitnessService, services=_address(trial))
    await acknowledged.write(trial, 60)
    await acknowledged.settled()

    await home.stop(watching)
    await acknowledged.write(trial, 60)
    await home.start(WitnessService, services=_address(trial))

    await acknowledged.settled()


async def test_restarts_while_events_flow_repeat_nothing(home: Home, acknowledged: Acknowledged) -> None:
    trial = await home.start(TrialService)
    watching = await home.start(WitnessService, services=_address(trial))
    for _ in range(4):
        writing = asyncio.create_task(acknowledged.write(trial, 80))
        await eventually(lambda: acknowledged.total_seen() > 0)
        await home.stop(watching)
        watching = await home.start(WitnessService, services=_address(trial))
        await writing

    await acknowledged.settled()


async def test_what_the_broker_delivers_again_takes_effect_once(
    home: Home, acknowledged: Acknowledged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every cursor begins at the stream's first message, as if nothing had ever been handled."""
    _deliver_all_again(monkeypatch)
    host = await home.start(TrialService, WitnessService)
    await acknowledged.write(host, 60)
    await acknowledged.settled()

    _lose_cursors(host)
    await acknowledged.write(host, 60)
    host = await home.restart(host)
    await acknowledged.write(host, 60)

    await acknowledged.settled()


async def test_partitions_are_taken_up_one_after_another(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, at the start, they would each open a connection, and a thread of MongoDB's with it."""
    load, counting, loading, most = Mark.load, threading.Lock(), 0, 0

    def counted(*args: Any) -> Mark:
        nonlocal loading, most
        with counting:
            loading += 1
            most = max(most, loading)
        try:
            return load(*args)
        finally:
            with counting:
                loading -= 1

    monkeypatch.setattr(Mark, "load", counted)

    host = await home.start(TrialService, WitnessService)
    flows = host.containers["witness"].flows

    await eventually(lambda: sum(bool(reader._cursor) for flow in flows for reader in flow.readers) == PARTITIONS)
    assert most == 1


async def test_two_processes_share_the_lines(home: Home, acknowledged: Acknowledged) -> None:
    handled_by: dict[int, set[int]] = {1: set(), 2: set()}

    def watcher(number: int) -> type[WitnessService]:
        return witness(lambda amount, event: handled_by[number].add(event.partition))

    trial = await home.start(TrialService)
    first = await home.start(watcher(1), services=_address(trial))
    second = await home.start(watcher(2), services=_address(trial))
    await eventually(lambda: not any(host.containers["witness"].members.alone for host in (first, second)))

    await acknowledged.write(trial, 200)

    await acknowledged.settled()
    assert handled_by[1] | handled_by[2] == {partition_of(key) for key in KEYS}


async def test_two_processes_that_both_believe_they_hold_every_line_double_nothing(
    home: Home, acknowledged: Acknowledged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Members, "holds", lambda self, duty: True)
    trial = await home.start(TrialService)
    for _ in range(2):
        await home.start(WitnessService, services=_address(trial))

    for _ in range(3):
        await acknowledged.write(trial, 40)

    await acknowledged.settled()


async def test_another_process_takes_over_when_one_stops(home: Home, acknowledged: Acknowledged) -> None:
    trial = await home.start(TrialService)
    first = await home.start(WitnessService, services=_address(trial))
    await home.start(WitnessService, services=_address(trial))
    await acknowledged.write(trial, 100)
    await acknowledged.settled()

    writing = asyncio.create_task(acknowledged.write(trial, 100))
    await home.stop(first)
    await writing

    await acknowledged.settled()


async def test_another_process_takes_over_from_one_that_vanished(home: Home, acknowledged: Acknowledged) -> None:
    trial = await home.start(TrialService)
    hung = await home.start(WitnessService, services=_address(trial), runtime={"member_ttl_s": 1})
    await home.start(WitnessService, services=_address(trial), runtime={"member_ttl_s": 1})
    await acknowledged.write(trial, 100)
    await acknowledged.settled()

    _freeze(hung)
    await acknowledged.write(trial, 100)

    await acknowledged.settled()


async def test_a_broker_that_is_killed_and_comes_back_makes_nothing_happen_twice(
    mongod: RunningMongod, new_nats_server: RunningNats, homes: Homes
) -> None:
    home = homes(nats=new_nats_server)
    acknowledged = Acknowledged(home)
    host = await home.start(TrialService, WitnessService)
    await acknowledged.write(host, 100)
    await eventually(lambda: acknowledged.total_seen() > 0)

    await asyncio.to_thread(new_nats_server.kill, restart=True)
    await acknowledged.write(host, 100)

    await acknowledged.settled()


# --- a proof must be able to fail -----------------------------------------------------------------------------------


async def test_without_marks_a_restart_doubles_effects_and_the_witness_shows_it(
    home: Home, acknowledged: Acknowledged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark is not committed with the effects: this is what the tests above would look like."""
    monkeypatch.setattr(Mark, "advance", lambda self, advances, position: Unit())
    host = await home.start(TrialService, WitnessService)
    await acknowledged.write(host, 60)
    await eventually(lambda: acknowledged.total_seen() >= 60)

    await home.restart(host)

    await eventually(lambda: acknowledged.total_seen() > 60)
    assert not acknowledged.seen_once()


async def test_without_the_mark_check_redelivery_doubles_effects_and_the_witness_shows_it(
    home: Home, acknowledged: Acknowledged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark is committed but nobody looks at it: not when it is read again, not when a sequence comes twice."""
    _deliver_all_again(monkeypatch)
    load = Mark.load.__func__

    def forgetful(cls: type[Mark], *where: Any) -> Mark:
        mark = load(cls, *where)
        mark.lines.clear()
        return mark

    host = await home.start(TrialService, WitnessService)
    await acknowledged.write(host, 60)
    await acknowledged.settled()
    monkeypatch.setattr(Mark, "load", classmethod(forgetful))

    _lose_cursors(host)

    await eventually(lambda: acknowledged.total_seen() > 60)
    assert not acknowledged.seen_once()


async def test_without_the_compare_and_set_two_holders_double_effects_and_the_witness_shows_it(
    home: Home, acknowledged: Acknowledged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark is written whatever its revision: two processes that both hold a line apply its events twice."""
    advance = Mark.advance

    def unchecked(self: Mark, advances: Any, position: int) -> Unit:
        unit = advance(self, advances, position)
        unit.views.clear()
        return unit

    monkeypatch.setattr(Mark, "advance", unchecked)
    monkeypatch.setattr(Members, "holds", lambda self, duty: True)
    trial = await home.start(TrialService)
    for _ in range(2):
        await home.start(WitnessService, services=_address(trial))

    await acknowledged.write(trial, 60)

    await eventually(lambda: acknowledged.total_seen() > 60)
    assert not acknowledged.seen_once()


# --- where a subscription begins ------------------------------------------------------------------------------------


def _beginning(start: Any) -> type[WitnessService]:
    class Late(WitnessService):
        @subscribe(AmountRecorded, start=start)
        def see(self, amount, event):
            super().see(amount, event)

    return Late


async def test_a_subscription_to_all_begins_with_what_the_log_holds(home: Home) -> None:
    trial = await home.start(TrialService)
    await home.trial(trial).record_many(record_request("a") for _ in range(5))

    await home.start(_beginning(ALL), services=_address(trial))

    await eventually(lambda: home.seen("a") == [1, 2, 3, 4, 5])


async def test_a_subscription_to_new_begins_where_the_log_stands_when_it_is_declared(home: Home) -> None:
    trial = await home.start(TrialService)
    await home.trial(trial).record_many(record_request("a") for _ in range(5))
    watching = await home.start(_beginning(NEW), services=_address(trial))
    await eventually(lambda: home.database("witness")["subscriptions"].count_documents({}))

    await home.trial(trial).record("a")
    await eventually(lambda: home.seen("a") == [6])

    await home.stop(watching)
    await home.trial(trial).record("a")
    await home.start(_beginning(NEW), services=_address(trial))
    await eventually(lambda: home.seen("a") == [6, 7])


async def test_a_subscription_to_all_takes_an_expired_beginning_for_no_hole(home: Home) -> None:
    trial = await home.start(TrialService)
    await home.trial(trial).record_many(record_request(key) for key in ("a", "a", "a", "b", "a"))
    await home.published(5)
    home.database("trial")["log"].delete_many({"_id": {"$lte": 2}})

    await home.start(_beginning(ALL), services=_address(trial))

    await eventually(lambda: len(home.seen("a")) + len(home.seen("b")) == 3)
    assert home.seen("a") == [entry["sequence"] for entry in home.log() if entry["headers"]["ce-subject"] == "a"]
    assert home.letters() == []


# --- which events ---------------------------------------------------------------------------------------------------


class Forgetful(TrialService):
    """Says after each amount that it has forgotten it."""

    @rpc
    def record(self, request):
        answer = super().record(request)
        self.emit(AmountForgotten(key=request.key))
        return answer


async def test_other_types_on_the_topic_are_skipped_and_the_mark_moves_over_them(home: Home) -> None:
    host = await home.start(Forgetful, WitnessService)
    trial = home.trial(host)

    await trial.record_many(record_request("a") for _ in range(5))

    await eventually(lambda: home.seen("a") == [1, 3, 5, 7, 9])
    await eventually(lambda: _mark_of(home, "a") == 10)


async def test_methods_on_one_topic_see_the_events_of_a_key_in_order(home: Home) -> None:
    class Both(WitnessService):
        @subscribe(AmountForgotten, origin=ANY, start=ALL)
        def forget(self, forgotten, event):
            sighting = self.store.require(Sighting, f"{event.origin}_{forgotten.key}")
            sighting.sequences.append(event.sequence)
            self.store.put(sighting)

    host = await home.start(Forgetful, Both)

    await home.trial(host).record_many(record_request("a") for _ in range(20))

    await eventually(lambda: home.seen("a") == list(range(1, 41)))


async def test_two_methods_for_one_type_stop_the_start(home: Home) -> None:
    class Twice(WitnessService):
        @subscribe(AmountRecorded, origin=ANY, start=ALL)
        def see_again(self, amount, event):
            """Nobody could say which of the two comes first."""

    with pytest.raises(ContractError, match="see and see_again"):
        await home.start(TrialService, Twice)


async def test_an_effect_may_emit_and_the_next_subscription_sees_it(home: Home) -> None:
    class Chain(TrialService):
        @subscribe(AmountRecorded)
        def forget(self, amount, event):
            self.emit(AmountForgotten(key=amount.key))

    class Mourner(WitnessService):
        @subscribe(AmountForgotten, start=ALL)
        def mourn(self, forgotten, event):
            self.store.put(Sighting(id=f"mourned_{event.causation_id}", count=1))

    host = await home.start(Chain, Mourner)

    await home.trial(host).record_many(record_request(f"k{n}") for n in range(10))

    causes = [e["headers"]["ce-id"] for e in home.log() if e["type"] == "AmountRecorded"]
    mourned = home.database("witness")["sightings"]
    await eventually(lambda: mourned.count_documents({"_id": {"$regex": "^mourned_"}}) == 10)
    assert {raw["_id"] for raw in mourned.find({"_id": {"$regex": "^mourned_"}})} == {f"mourned_{id}" for id in causes}


# --- holes ----------------------------------------------------------------------------------------------------------


async def test_a_hole_in_the_stream_is_refilled_from_the_log(home: Home) -> None:
    trial = await home.start(TrialService)
    await home.trial(trial).record_many(record_request("a") for _ in range(10))
    await home.published(10)
    for number in (3, 4, 7):
        await (await home.jetstream()).delete_msg(home.stream(), number)

    await home.start(WitnessService, services=_address(trial))

    await eventually(lambda: home.seen("a") == list(range(1, 11)))
    assert home.letters() == []


async def test_a_hole_is_refilled_also_within_one_process(home: Home) -> None:
    go_on = threading.Event()
    host = await home.start(TrialService, witness(lambda amount, event: go_on.wait(10)))
    await home.trial(host).record_many(record_request("a") for _ in range(10))
    await home.published(10)
    await (await home.jetstream()).delete_msg(home.stream(), 5)
    _lose_cursors(host)
    go_on.set()

    await eventually(lambda: home.seen("a") == list(range(1, 11)))


async def test_a_hole_holds_back_no_other_line(home: Home) -> None:
    """While the log cannot be reached, only the line with the hole waits."""
    other = next(key for key in KEYS if partition_of(key) != partition_of("a"))
    trial = await home.start(TrialService)
    await home.trial(trial).record_many([*(record_request("a") for _ in range(3)), record_request(other)])
    await home.published(4)
    numbers = [m.seq for m in await home.on_stream() if m.headers["ce-subject"] == "a"]
    await (await home.jetstream()).delete_msg(home.stream(), numbers[1])
    watching = await home.start(WitnessService, services=_address(trial))
    await eventually(lambda: home.seen("a") == [1, 2, 3])
    home.database("witness")[MARKS].delete_many({"subscription": {"$exists": True}})
    home.database("witness")["sightings"].delete_many({})
    await home.stop(watching)

    await home.start(WitnessService, services={"trial": "127.0.0.1:1"})  # nobody answers there

    await eventually(lambda: home.seen(other) == [1] and home.seen("a") == [1])
    assert home.letters() == []


async def test_a_hole_below_the_logs_floor_becomes_one_dead_letter_that_names_the_range(home: Home) -> None:
    trial = await home.start(TrialService)
    watching = await home.start(WitnessService, services=_address(trial))
    await home.trial(trial).record_many(record_request("a") for _ in range(2))
    await eventually(lambda: home.seen("a") == [1, 2])
    await home.stop(watching)
    await home.trial(trial).record_many(record_request("a") for _ in range(6))
    await home.published(8)
    home.database("trial")["log"].delete_many({"_id": {"$lte": 6}})
    for number in range(3, 7):
        await (await home.jetstream()).delete_msg(home.stream(), number)

    await home.start(WitnessService, services=_address(trial))

    await eventually(lambda: home.seen("a") == [1, 2, 7, 8])
    [letter] = home.letters()
    assert (letter["sequence"], letter["last_sequence"]) == (3, 6)
    assert letter["state"] == "DEAD"
    assert "3" in letter["error"]
    assert "6" in letter["error"]


async def test_a_lost_end_of_a_line_is_found_without_a_later_event(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    # The package's attribute of that name is the decorator, not the module.
    monkeypatch.setattr(sys.modules["mesh.subscribe"], "_WATCH_EVERY_S", 0.2)
    trial = await home.start(TrialService)
    await home.trial(trial).record_many(record_request("a") for _ in range(4))
    await home.published(4)
    await (await home.jetstream()).delete_msg(home.stream(), 4)

    await home.start(WitnessService, services=_address(trial))

    await eventually(lambda: home.seen("a") == [1, 2, 3, 4])


# --- failures -------------------------------------------------------------------------------------------------------


async def test_transient_failures_are_retried_for_as_long_as_they_last_and_count_nothing(home: Home) -> None:
    tries = []

    def away(amount: Any, event: Any) -> None:
        tries.append(event.sequence)
        if len(tries) < 6:
            raise Unavailable("the peer is away")

    host = await home.start(TrialService, witness(away), runtime={"handler_attempts": 2})

    await home.trial(host).record_many(record_request("a") for _ in range(3))

    await eventually(lambda: home.seen("a") == [1, 2, 3], within_s=30)
    assert home.letters() == []


async def test_a_failure_that_passes_is_no_dead_letter_and_order_is_kept(home: Home) -> None:
    failures = iter([ValueError("once"), ValueError("twice")])

    def stumble(amount: Any, event: Any) -> None:
        if event.sequence == 2 and (failure := next(failures, None)):
            raise failure

    host = await home.start(TrialService, witness(stumble))

    await home.trial(host).record_many(record_request("a") for _ in range(5))

    await eventually(lambda: home.seen("a") == [1, 2, 3, 4, 5])
    assert home.letters() == []


async def test_a_line_in_retry_holds_back_no_other_line(home: Home) -> None:
    other = next(key for key in KEYS if partition_of(key) != partition_of("a"))
    waiting = threading.Event()

    def away(amount: Any, event: Any) -> None:
        if amount.key == "a" and not waiting.is_set():
            raise Unavailable("the peer is away")

    host = await home.start(TrialService, witness(away))
    trial = home.trial(host)
    await trial.record("a")

    await trial.record_many(record_request(other) for _ in range(300))

    await eventually(lambda: len(home.seen(other)) == 300)
    assert home.seen("a") == []
    waiting.set()
    await eventually(lambda: home.seen("a") == [1])


async def test_a_slow_subscription_slows_no_other(home: Home) -> None:
    go_on = threading.Event()

    class Slow(WitnessService):
        name = "slow"

        @staticmethod
        def before(amount, event):
            go_on.wait(20)

    host = await home.start(TrialService, WitnessService, Slow, runtime={"workers": 24})

    await home.trial(host).record_many(record_request("a") for _ in range(50))

    await eventually(lambda: len(home.seen("a")) == 50)
    assert home.seen("a", "slow") == []
    go_on.set()
    await eventually(lambda: len(home.seen("a", "slow")) == 50)


class Copy(Document):
    """What a subscription writes beside the RPCs of its own service."""

    id = StringField(primary_key=True)
    total = IntField(default=0)
    meta = {"collection": "totals"}


async def test_a_handler_and_the_services_own_rpcs_lose_no_change_of_one_document(home: Home) -> None:
    class Meddler(TrialService):
        store = Store()

        @rpc
        def record(self, request):
            if request.note == "own":
                total = self.store.get(Copy, "shared") or Copy(id="shared")
                total.total += 1
                self.store.put(total)
                return RecordResponse(total=total.total)
            return super().record(request)

        @subscribe(AmountRecorded)
        def add(self, amount, event):
            total = self.store.get(Copy, "shared") or Copy(id="shared")
            total.total += 1
            self.store.put(total)

    host = await home.start(Meddler)
    trial = home.trial(host)

    await asyncio.gather(
        trial.record_many(record_request(f"k{n}") for n in range(60)),
        trial.record_many(record_request("own", note="own") for _ in range(60)),
    )

    totals = home.database("trial")["totals"]
    await eventually(lambda: (totals.find_one({"_id": "shared"}) or {}).get("total") == 120)


class Hoard(Document):
    """More than a document may hold."""

    id = StringField(primary_key=True)
    content = StringField()
    meta = {"collection": "hoards"}


async def test_an_effect_that_cannot_be_stored_becomes_a_dead_letter_alone(home: Home) -> None:
    class Hoarder(WitnessService):
        @subscribe(AmountRecorded, origin=ANY, start=ALL)
        def see(self, amount, event):
            super().see(amount, event)
            if amount.note == "too much":
                self.store.put(Hoard(id=amount.key, content="x" * 17_000_000))

    host = await home.start(TrialService, Hoarder, runtime={"handler_attempts": 1})
    other = next(key for key in KEYS if key != "a" and partition_of(key) == partition_of("a"))

    await home.trial(host).record("a", note="too much")
    await home.trial(host).record_many(record_request(other) for _ in range(5))

    await eventually(lambda: len(home.seen(other)) == 5, within_s=30)
    [letter] = home.letters()
    assert (letter["key"], letter["sequence"]) == ("a", 1)


# --- what tests put in the way ----------------------------------------------------------------------------------------


def _address(host: Any) -> dict[str, str]:
    return {"trial": f"127.0.0.1:{host.port}"}


def _mark_of(home: Home, key: str) -> int:
    line = f"{home.locality}/trial/amount/{partition_of(key)}"
    marks = home.database("witness")[MARKS].find({"partition": partition_of(key)})
    return max((mark["lines"][line]["sequence"] for mark in marks if line in mark["lines"]), default=0)


def _lose_cursors(host: Any) -> None:
    for container in host.containers.values():
        for flow in container.flows:
            for reader in flow.readers:
                reader.lose("the test says so")


def _deliver_all_again(monkeypatch: pytest.MonkeyPatch) -> None:
    begin: Callable[..., None] = Cursor.__init__

    def from_the_first(self: Cursor, *args: Any, start: int, **options: Any) -> None:
        begin(self, *args, start=1, **options)

    monkeypatch.setattr(Cursor, "__init__", from_the_first)


def _freeze(host: Any) -> None:
    """The process hangs: it neither reads nor renews its membership, and leaves nothing in order."""
    for container in host.containers.values():
        for part in (container.members, *container.flows, *(r for flow in container.flows for r in flow.readers)):
            part._task.cancel()
            part._task = None
