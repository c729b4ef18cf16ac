"""The relay: stream sequence = position, whatever happens to the stream, the broker, or the relay itself."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from mesh import relay as relays
from mesh.members import Members
from tests.conftest import RunningMongod, RunningNats
from tests.hosts import Home, Homes, eventually, record_request
from tests.trial.services import TrialService, WitnessService


async def _numbers(home: Home) -> list[tuple[int, str]]:
    """Stream sequence and event id of what is on the stream."""
    return [(message.seq, message.headers.get("ce-id", "")) for message in await home.on_stream()]


def _owed(home: Home) -> list[tuple[int, str]]:
    """Position and event id of what is in the log."""
    return [(entry["_id"], entry["headers"].get("ce-id", "")) for entry in home.log()]


async def _level(home: Home) -> None:
    """Returns when the stream holds exactly what the log holds, under the same numbers."""

    async def level() -> bool:
        return await _numbers(home) == _owed(home)

    await eventually(level)


async def test_the_stream_sequence_of_an_event_is_its_position_in_the_log(home: Home) -> None:
    host = await home.start(TrialService)

    await home.trial(host).record_many(record_request(f"k{n % 7}") for n in range(50))

    await _level(home)
    assert [number for number, _ in await _numbers(home)] == list(range(1, 51))


async def test_the_stream_is_declared_at_start_with_limits(home: Home) -> None:
    await home.start(TrialService, runtime={"stream_max_age_days": 3, "stream_max_bytes": 5_000_000})

    config = (await (await home.jetstream()).stream_info(home.stream())).config

    assert config.subjects == [f"events.{home.locality}.trial.>"]
    assert (config.max_age, config.max_bytes) == (3 * 86400, 5_000_000)
    assert config.discard == "old"


async def test_a_changed_declaration_updates_the_stream(home: Home) -> None:
    host = await home.start(TrialService)
    await home.trial(host).record()
    await home.published(1)
    await home.stop(host)

    await home.start(TrialService, runtime={"stream_max_bytes": 5_000_000})

    info = await (await home.jetstream()).stream_info(home.stream())
    assert info.config.max_bytes == 5_000_000
    assert info.state.messages == 1


async def test_what_was_committed_while_no_relay_ran_is_published_at_the_next_start(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(self: relays.Relay, entries: object) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(relays.Relay, "_publish", nothing)
        host = await home.start(TrialService, runtime={"drain_timeout_s": 0.1})
        await home.trial(host).record_many(record_request("a") for _ in range(5))
        await home.stop(host)
    assert await _numbers(home) == []

    await home.start(TrialService)

    await _level(home)


async def test_a_second_relays_duplicates_are_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two processes believes it alone copies the log."""
    monkeypatch.setattr(Members, "holds", lambda self, duty: True)
    first, second = await home.start(TrialService), await home.start(TrialService)

    await asyncio.gather(
        home.trial(first).record_many(record_request(f"a{n}") for n in range(40)),
        home.trial(second).record_many(record_request(f"b{n}") for n in range(40)),
    )

    await _level(home)
    assert len(await _numbers(home)) == 80


async def test_a_relay_takes_over_when_the_other_process_stops(home: Home) -> None:
    hosts = [await home.start(TrialService), await home.start(TrialService)]
    await home.trial(hosts[0]).record_many(record_request(f"a{n}") for n in range(10))
    await _level(home)

    for host in hosts:
        leaving = host
        staying = next(other for other in hosts if other is not leaving)
        if leaving.containers["trial"].members.holds("relay/events"):
            break
    await home.stop(leaving)
    await home.trial(staying).record_many(record_request(f"b{n}") for n in range(10))

    await _level(home)
    assert len(await _numbers(home)) == 20


# --- the stream is lost -----------------------------------------------------------------------------------------


async def test_a_lost_stream_is_declared_again_from_the_lowest_position_still_owed(home: Home) -> None:
    host = await home.start(TrialService)
    trial = home.trial(host)
    await trial.record_many(record_request("a") for _ in range(10))
    await _level(home)
    home.database("trial")["log"].delete_many({"_id": {"$lte": 4}})  # long published, and expired
    await (await home.jetstream()).delete_stream(home.stream())

    await trial.record("a")

    await _level(home)
    assert [number for number, _ in await _numbers(home)] == list(range(5, 12))


async def test_a_new_stream_begins_with_what_the_lost_one_would_still_hold(home: Home) -> None:
    host = await home.start(TrialService)
    trial = home.trial(host)
    await trial.record_many(record_request("a") for _ in range(6))
    await _level(home)
    old = datetime.now(UTC) - timedelta(days=8)
    home.database("trial")["log"].update_many({"_id": {"$lte": 4}}, {"$set": {"at": old}})
    await (await home.jetstream()).delete_stream(home.stream())

    await trial.record("a")

    await home.published(3)
    assert [number for number, _ in await _numbers(home)] == [5, 6, 7]


async def test_a_stream_is_filled_again_although_nothing_new_happens(
    mongod: RunningMongod, new_nats_server: RunningNats, homes: Homes
) -> None:
    """The broker lost its disk; whoever still has to read it must not wait for the next event."""
    home = homes(nats=new_nats_server)
    host = await home.start(TrialService)
    await home.trial(host).record_many(record_request("a") for _ in range(5))
    await _level(home)

    await asyncio.to_thread(new_nats_server.stop)
    shutil.rmtree(new_nats_server.store)
    await asyncio.to_thread(new_nats_server.start)

    await _level(home)


async def test_a_stream_somebody_deleted_is_filled_again_although_nothing_new_happens(home: Home) -> None:
    host = await home.start(TrialService)
    await home.trial(host).record_many(record_request("a") for _ in range(5))
    await _level(home)

    await (await home.jetstream()).delete_stream(home.stream())

    await _level(home)


async def test_a_lost_tail_is_published_again_under_the_same_numbers(
    mongod: RunningMongod, new_nats_server: RunningNats, homes: Homes
) -> None:
    """JetStream acknowledged, and yet lost what it had not synced: the broker comes back with an older disk."""
    home = homes(nats=new_nats_server)
    host = await home.start(TrialService, WitnessService)
    trial = home.trial(host)
    await trial.record_many(record_request("a") for _ in range(5))
    await _level(home)
    await asyncio.to_thread(new_nats_server.stop)
    older = new_nats_server.store.with_name("older")
    shutil.copytree(new_nats_server.store, older)
    await asyncio.to_thread(new_nats_server.start)
    await trial.record_many(record_request("a") for _ in range(5))
    await _level(home)
    await eventually(lambda: len(home.seen("a")) == 10)

    await asyncio.to_thread(new_nats_server.kill)
    shutil.rmtree(new_nats_server.store)
    older.rename(new_nats_server.store)
    await asyncio.to_thread(new_nats_server.start)
    await trial.record("a")

    await _level(home)
    assert [number for number, _ in await _numbers(home)] == list(range(1, 12))
    await eventually(lambda: home.seen("a") == list(range(1, 12)))


async def test_a_broker_killed_amid_publishing_gets_every_event_once(
    mongod: RunningMongod, new_nats_server: RunningNats, homes: Homes
) -> None:
    home = homes(nats=new_nats_server)
    host = await home.start(TrialService)
    trial = home.trial(host)

    async def write(n: int) -> None:
        for i in range(40):
            await trial.record(f"k{n}-{i}")

    writing = [asyncio.create_task(write(n)) for n in range(4)]
    await home.published(20)
    await asyncio.to_thread(new_nats_server.kill, restart=True)
    await asyncio.gather(*writing)

    await _level(home)
    assert len(await _numbers(home)) == 160


# --- what may expire --------------------------------------------------------------------------------------------


async def test_a_log_entry_expires_only_once_it_is_published(
    mongod: RunningMongod, new_nats_server: RunningNats, homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "_EXPIRY_EVERY_S", 0)
    home = homes(nats=new_nats_server)
    host = await home.start(TrialService, runtime={"log_keep_days": 30})
    trial = home.trial(host)
    await trial.record_many(record_request("a") for _ in range(3))
    await eventually(lambda: all("expire_at" in entry for entry in home.log()))
    await asyncio.to_thread(new_nats_server.stop)

    await trial.record_many(record_request("a") for _ in range(3))

    assert ["expire_at" in entry for entry in home.log()] == [True] * 3 + [False] * 3
    days = (home.log()[0]["expire_at"] - datetime.now(UTC)) / timedelta(days=1)
    assert days == pytest.approx(30, abs=0.1)
    await asyncio.to_thread(new_nats_server.start)
    await eventually(lambda: all("expire_at" in entry for entry in home.log()))
