"""A database restored from an older copy: no number is given twice, and subscribers miss nothing that is new."""

from __future__ import annotations

from typing import Any

from tests.hosts import Home, eventually, record_request
from tests.trial.services import TrialService, WitnessService

Copy = dict[str, list[dict[str, Any]]]


def _copy(home: Home, service: str = "trial") -> Copy:
    """A backup of the service's database."""
    database = home.database(service)
    return {name: list(database[name].find()) for name in database.list_collection_names()}


def _restore(home: Home, copy: Copy, service: str = "trial") -> None:
    database = home.database(service)
    for name in database.list_collection_names():
        database[name].delete_many({})
    for name, documents in copy.items():
        if documents:
            database[name].insert_many(documents)


async def _recorded(home: Home, host: Any, count: int, key: str = "a") -> None:
    for _ in range(count):
        await home.trial(host).record(key)
    await home.published(len(home.log()))


async def test_a_restored_log_repeats_no_number_its_stream_has_seen(home: Home) -> None:
    host = await home.start(TrialService)
    await _recorded(home, host, 5)
    backup = _copy(home)
    await _recorded(home, host, 4)
    lost = [message.headers["ce-id"] for message in await home.on_stream()][5:]
    await home.stop(host)
    _restore(home, backup)

    host = await home.start(TrialService)
    await home.trial(host).record("a")

    *known, new = home.log()
    assert [entry["type"] for entry in known] == ["AmountRecorded"] * 5 + ["VOID"] * 4
    assert (new["_id"], new["sequence"]) == (10, 10)
    assert new["headers"]["ce-id"] not in lost
    await home.published(10)
    assert [message.seq for message in await home.on_stream()] == list(range(1, 11))


async def test_a_restored_log_keeps_the_sequences_of_every_line_apart(home: Home) -> None:
    host = await home.start(TrialService)
    await home.trial(host).record_many(record_request(f"k{n}") for n in range(30))
    await home.published(30)
    backup = _copy(home)
    await home.trial(host).record_many(record_request(f"k{n}") for n in range(30))
    await home.published(60)
    await home.stop(host)
    _restore(home, backup)

    host = await home.start(TrialService)
    await home.trial(host).record_many(record_request(f"k{n}") for n in range(30))

    by_line: dict[str, list[int]] = {}
    for entry in home.log():
        if entry["line"]:
            by_line.setdefault(entry["line"], []).append(entry["sequence"])
    for line, sequences in by_line.items():
        assert sequences == list(range(1, len(sequences) + 1)), line
    assert [entry["_id"] for entry in home.log()] == list(range(1, 91))


async def test_a_subscriber_neither_repeats_nor_misses_after_the_restore(home: Home) -> None:
    host = await home.start(TrialService, WitnessService)
    await _recorded(home, host, 5)
    backup = _copy(home)
    await _recorded(home, host, 4)
    await eventually(lambda: home.seen("a") == list(range(1, 10)))
    await home.stop(host)
    _restore(home, backup)

    host = await home.start(TrialService, WitnessService)
    await home.trial(host).record("a")

    await eventually(lambda: home.seen("a") == list(range(1, 11)))
    assert home.letters() == []


async def test_marks_of_subscribers_raise_the_counters_when_the_stream_is_lost_too(home: Home) -> None:
    """Only the subscribers still know which numbers were given."""
    host = await home.start(TrialService, WitnessService)
    await _recorded(home, host, 5)
    backup = _copy(home)
    await _recorded(home, host, 4)
    await eventually(lambda: home.seen("a") == list(range(1, 10)))
    await home.stop(host)
    _restore(home, backup)
    await (await home.jetstream()).delete_stream(home.stream())

    host = await home.start(TrialService, WitnessService)
    await eventually(lambda: home.counter()["logs"]["events"]["position"] >= 9)
    await home.trial(host).record("a")

    assert home.logged("a")[-1] == 10
    await eventually(lambda: home.seen("a") == list(range(1, 11)))


async def test_a_slow_subscriber_gets_from_the_stream_what_the_restored_log_no_longer_has(home: Home) -> None:
    trial = await home.start(TrialService)
    watching = await home.start(WitnessService, services={"trial": f"127.0.0.1:{trial.port}"})
    await _recorded(home, trial, 5)
    await eventually(lambda: home.seen("a") == list(range(1, 6)))
    await home.stop(watching)
    backup = _copy(home)
    await _recorded(home, trial, 4)
    await home.stop(trial)
    _restore(home, backup)

    trial = await home.start(TrialService)
    await home.start(WitnessService, services={"trial": f"127.0.0.1:{trial.port}"})
    await home.trial(trial).record("a")

    await eventually(lambda: home.seen("a") == list(range(1, 11)))


async def test_a_restored_subscriber_applies_again_what_its_copy_did_not_have(home: Home) -> None:
    host = await home.start(TrialService, WitnessService)
    await _recorded(home, host, 5)
    await eventually(lambda: home.seen("a") == list(range(1, 6)))
    await home.stop(host)
    backup = _copy(home, "witness")
    host = await home.start(TrialService, WitnessService)
    await _recorded(home, host, 4)
    await eventually(lambda: home.seen("a") == list(range(1, 10)))
    await home.stop(host)
    _restore(home, backup, "witness")

    await home.start(TrialService, WitnessService)

    await eventually(lambda: home.seen("a") == list(range(1, 10)))
