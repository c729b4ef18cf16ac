"""Workers take turns: one does what waits, and nobody waits for one that waits."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from mesh.pool import WorkerPool, blocking

LIMIT_S = 10.0


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = _pool()
    yield pool
    pool.close()


def _pool(workers: int = 4) -> WorkerPool:
    loop = asyncio.get_running_loop()

    def post(function: Callable[..., Any], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the test is over
            loop.call_soon_threadsafe(function, *args)

    return WorkerPool(loop, post, workers)


@pytest.fixture
def sign() -> Iterator[threading.Event]:
    """What a job waits for; given at the end of the test at the latest."""
    sign = threading.Event()
    yield sign
    sign.set()


def wait_for(sign: threading.Event) -> str:
    assert sign.wait(LIMIT_S)
    return threading.current_thread().name


def name() -> str:
    return threading.current_thread().name


async def test_a_job_answers_what_it_returns(pool: WorkerPool) -> None:
    assert await pool.run(divmod, 7, 2) == (3, 1)


async def test_a_job_raises_what_it_raises(pool: WorkerPool) -> None:
    with pytest.raises(ZeroDivisionError):
        await pool.run(divmod, 7, 0)


async def test_jobs_of_one_round_of_the_loop_are_done_by_one_worker_in_order(pool: WorkerPool) -> None:
    order: list[int] = []

    def job(number: int) -> str:
        order.append(number)
        return name()

    workers = await asyncio.gather(*(pool.run(job, number) for number in range(50)))

    assert order == list(range(50))
    assert len(set(workers)) == 1


async def test_a_job_whose_caller_has_left_is_not_begun(pool: WorkerPool) -> None:
    done: list[str] = []
    given_up = pool.run(done.append, "given up")
    kept = pool.run(done.append, "kept")

    given_up.cancel()
    await kept

    assert done == ["kept"]


async def test_jobs_behind_a_stuck_one_are_taken_over(pool: WorkerPool, sign: threading.Event) -> None:
    """It waits for something without saying so, as code that knows nothing of the pool does."""
    stuck = pool.run(wait_for, sign)
    behind = [pool.run(name) for _ in range(3)]

    others = await asyncio.wait_for(asyncio.gather(*behind), LIMIT_S)

    assert not stuck.done()
    sign.set()
    assert await stuck not in others


async def test_what_was_done_before_a_stuck_job_is_answered(pool: WorkerPool, sign: threading.Event) -> None:
    """Results are kept back for those of the next jobs, but not for long."""
    before = pool.run(name)
    stuck = pool.run(wait_for, sign)

    await asyncio.wait_for(before, LIMIT_S)

    assert not stuck.done()


async def test_a_job_that_comes_while_another_is_stuck_is_done(pool: WorkerPool, sign: threading.Event) -> None:
    running = threading.Event()
    stuck = pool.run(lambda: (running.set(), wait_for(sign)))
    await asyncio.to_thread(running.wait, LIMIT_S)

    await asyncio.wait_for(pool.run(name), LIMIT_S)

    assert not stuck.done()


async def test_jobs_stuck_behind_each_other_each_find_a_worker(pool: WorkerPool) -> None:
    """All four must be at the barrier at once before any goes on."""
    barrier = threading.Barrier(4, timeout=LIMIT_S)

    await asyncio.gather(*(pool.run(barrier.wait) for _ in range(4)))


async def test_more_stuck_jobs_than_workers_leave_the_pool_whole(pool: WorkerPool, sign: threading.Event) -> None:
    stuck = [pool.run(wait_for, sign) for _ in range(9)]
    await asyncio.wait({asyncio.ensure_future(pool.run(name))}, timeout=0.02)

    sign.set()

    assert len(await asyncio.gather(*stuck)) == 9
    assert await pool.run(name)


async def test_a_job_about_to_wait_lets_another_worker_begin_what_is_behind_it(
    pool: WorkerPool, sign: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nobody watches: the loop would have to look within the hour."""
    monkeypatch.setattr("mesh.pool._STALLED_S", 3600.0)

    def read() -> str:
        blocking()
        return wait_for(sign)

    reading = pool.run(read)
    behind = pool.run(name)

    other = await asyncio.wait_for(behind, LIMIT_S)

    assert not reading.done()
    sign.set()
    assert await reading != other


async def test_a_job_about_to_wait_keeps_no_result_back(
    pool: WorkerPool, sign: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.pool._STALLED_S", 3600.0)
    before = pool.run(name)
    reading = pool.run(lambda: (blocking(), wait_for(sign)))

    await asyncio.wait_for(before, LIMIT_S)

    assert not reading.done()


async def test_after_waiting_a_worker_goes_on_where_no_other_did(pool: WorkerPool) -> None:
    def read() -> str:
        blocking()
        return name()

    assert len(await asyncio.gather(*(pool.run(read) for _ in range(200)))) == 200


def test_outside_of_workers_nothing_is_passed_on() -> None:
    blocking()


async def test_what_is_queued_when_it_closes_is_still_done() -> None:
    pool = _pool(workers=1)
    jobs = [pool.run(name) for _ in range(3)]

    pool.close()

    assert len(await asyncio.wait_for(asyncio.gather(*jobs), LIMIT_S)) == 3
