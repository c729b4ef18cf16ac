"""`@every`: work the clock starts, by one process of a service at a time."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from mesh import every
from mesh.errors import Unavailable
from mesh.members import Members
from tests.hosts import Home, eventually
from tests.trial.contract import AmountRecorded
from tests.trial.services import Total, TrialService


def _ticking(tick: Any, seconds: float = 0.02) -> type[TrialService]:
    class Ticking(TrialService):
        @every(seconds=seconds)
        def tick(self):
            return tick(self)

    return Ticking


def _add_one(service: Any) -> None:
    total = service.store.get(Total, "ticks") or Total(id="ticks")
    total.total += 1
    service.store.put(total)
    service.emit(AmountRecorded(key="ticks", amount=total.total))


def _ticks(home: Home) -> int:
    found = home.database("trial")["totals"].find_one({"_id": "ticks"})
    return found["total"] if found else 0


async def test_it_runs_again_and_again_and_what_it_stages_is_committed(home: Home) -> None:
    await home.start(_ticking(_add_one))

    await eventually(lambda: _ticks(home) >= 5)

    assert [entry["sequence"] for entry in home.log()][:5] == [1, 2, 3, 4, 5]


async def test_a_run_that_has_more_to_do_runs_again_at_once(home: Home) -> None:
    def work_off(service: Any) -> bool:
        _add_one(service)
        return _ticks(home) < 20

    await home.start(_ticking(work_off, seconds=3600))

    await eventually(lambda: _ticks(home) >= 20)


@pytest.mark.parametrize("error", [ValueError("a defect"), Unavailable("a peer is away")], ids=["defect", "transient"])
async def test_a_run_that_fails_commits_nothing_and_the_next_one_comes(home: Home, error: Exception) -> None:
    tries = []

    def stumble(service: Any) -> None:
        tries.append(1)
        _add_one(service)
        if len(tries) < 3:
            raise error

    await home.start(_ticking(stumble))

    await eventually(lambda: len(tries) >= 5)
    await eventually(lambda: _ticks(home) >= 1)
    assert _ticks(home) <= len(tries) - 2


async def test_a_run_that_failed_does_not_wait_for_its_period(home: Home) -> None:
    tries = []

    def stumble(service: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise Unavailable("a peer is away")
        _add_one(service)

    await home.start(_ticking(stumble, seconds=3600))

    await eventually(lambda: _ticks(home) == 1)


async def test_runs_of_one_method_never_overlap(home: Home) -> None:
    running, most = [], []

    def tick(service: Any) -> None:
        running.append(1)
        most.append(len(running))
        _add_one(service)
        running.pop()

    await home.start(_ticking(tick, seconds=0.001))

    await eventually(lambda: len(most) > 20)
    assert max(most) == 1


async def test_one_process_of_two_runs_it_and_the_other_takes_over(home: Home) -> None:
    by: list[str] = []
    first = await home.start(_ticking(lambda service: by.append("first")))
    second = await home.start(_ticking(lambda service: by.append("second")))
    hosts = {"first": first, "second": second}
    await eventually(lambda: not any(host.containers["trial"].members.alone for host in hosts.values()))
    by.clear()
    await eventually(lambda: len(by) > 10)
    assert len(set(by)) == 1

    [runner] = set(by)
    [other] = set(hosts) - {runner}
    await home.stop(hosts[runner])

    await eventually(lambda: by[-1] == other)


async def test_who_takes_over_does_not_wait_for_the_period(home: Home) -> None:
    by: list[str] = []
    hosts = {
        name: await home.start(_ticking(lambda service, name=name: by.append(name), seconds=3600))
        for name in ("first", "second")
    }
    await eventually(lambda: not any(host.containers["trial"].members.alone for host in hosts.values()))
    [runner] = [name for name, host in hosts.items() if host.containers["trial"].members.holds("every/tick")]
    [other] = set(hosts) - {runner}
    by.clear()

    await home.stop(hosts[runner])

    await eventually(lambda: other in by)


async def test_two_processes_that_both_believe_it_is_theirs_lose_no_change(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Members, "holds", lambda self, duty: True)
    for _ in range(2):
        await home.start(_ticking(_add_one))

    await eventually(lambda: _ticks(home) >= 20)

    amounts = [AmountRecorded.FromString(entry["data"]).amount for entry in home.log()]
    assert amounts == list(range(1, len(amounts) + 1))


async def test_a_stopping_process_lets_the_run_finish(home: Home) -> None:
    running, go_on = threading.Event(), threading.Event()

    def slow(service: Any) -> None:
        running.set()
        go_on.wait(10)
        _add_one(service)

    host = await home.start(_ticking(slow))
    await eventually(running.is_set)

    stopping = asyncio.create_task(home.stop(host))
    go_on.set()
    await stopping

    assert _ticks(home) == 1
