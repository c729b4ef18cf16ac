"""Deadlines: what `asyncio.timeout` does, for less."""

from __future__ import annotations

import asyncio

import pytest

from mesh.deadlines import Deadlines

NEVER = 3600.0


@pytest.fixture
async def deadlines() -> Deadlines:
    return Deadlines(asyncio.get_running_loop())


async def test_a_block_that_is_done_in_time_notices_nothing(deadlines: Deadlines) -> None:
    with deadlines.after(NEVER) as deadline:
        await asyncio.sleep(0)

    assert not deadline.missed


async def test_a_block_that_takes_too_long_ends_and_its_task_goes_on(deadlines: Deadlines) -> None:
    with deadlines.after(0.01) as deadline:
        await asyncio.Event().wait()

    assert deadline.missed
    await asyncio.sleep(0)  # nothing of the cancellation is left
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_time_that_is_already_over_is_missed_at_once(deadlines: Deadlines) -> None:
    with deadlines.after(-1) as deadline:
        await asyncio.Event().wait()

    assert deadline.missed


async def test_a_deadline_is_not_missed_early(deadlines: Deadlines) -> None:
    loop = asyncio.get_running_loop()
    for after_s in (0.001, 0.0049, 0.005, 0.0123):
        began = loop.time()

        with deadlines.after(after_s):
            await asyncio.Event().wait()

        assert loop.time() - began >= after_s - 0.001  # the loop's clock ticks in milliseconds


async def test_who_is_cancelled_by_others_is_cancelled(deadlines: Deadlines) -> None:
    async def work() -> None:
        with deadlines.after(NEVER):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_cancelled_by_others_when_the_time_is_over_is_cancelled(deadlines: Deadlines) -> None:
    async def work() -> None:
        with deadlines.after(NEVER) as deadline:
            begun.set_result(deadline)
            await asyncio.Event().wait()

    begun = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(work())
    deadline = await begun
    task.cancel()
    deadline.miss()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_goes_through(deadlines: Deadlines) -> None:
    with pytest.raises(KeyError), deadlines.after(NEVER):
        raise KeyError


async def test_a_hundred_deadlines_of_one_moment_share_a_timer(
    deadlines: Deadlines, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, timers = asyncio.get_running_loop(), []
    monkeypatch.setattr(loop, "call_at", lambda *given: timers.append(given))
    monkeypatch.setattr(loop, "time", lambda: 1000.0)

    blocks = [deadlines.after(5.0) for _ in range(100)]

    assert len(blocks) == 100
    assert len(timers) == 1


async def test_those_who_were_done_are_not_touched_when_others_miss_theirs(deadlines: Deadlines) -> None:
    with deadlines.after(0.01):
        pass

    with deadlines.after(0.01) as later:
        await asyncio.Event().wait()

    assert later.missed
