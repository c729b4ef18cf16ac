"""Worker threads for handlers.

Handlers compute most of the time and hold the interpreter's lock while they do, so several at once only fight over it:
every wake-up of a thread costs more than a small handler. Therefore one worker at a time has the *turn*: it takes jobs
until none is left, and the loop is woken once for all their results. The turn goes on to the next worker when its
holder is about to wait (`blocking`), and at the latest after about a millisecond in which it began no other job.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

_STALLED_S = 0.001
"""How long one job may keep others waiting, and results be kept back for those that follow them."""
_NOBODY = 0
_ONE_LESS = -1
"""Sent instead of a turn: whichever worker gets it ends."""

_Job = tuple["asyncio.Future[Any]", Callable[..., Any], tuple[Any, ...]]


class _Here(threading.local):
    """What the thread is working on."""

    pool: WorkerPool | None = None
    turn = _NOBODY


_here = _Here()


def blocking() -> None:
    """Says that what follows waits for something outside the process: other jobs need not wait for it too.

    Where it is not said, others wait a millisecond longer. Outside of a pool's workers it does nothing.
    """
    if _here.pool is not None:
        _here.pool.pass_on(_here.turn)


class WorkerPool:
    """A fixed number of threads that run blocking functions for one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, post: Callable[..., None], workers: int) -> None:
        self._loop = loop
        self._post = post
        self._jobs: deque[_Job] = deque()
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._delivery_due = False
        self._turns: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._turn = _NOBODY
        """The turn in force; whoever had an earlier one takes no more jobs."""
        self._turns_begun = 0
        self._turn_taken = _NOBODY
        self._changing_turns = threading.Lock()
        self._jobs_begun = 0
        """Changes whenever a worker begins a job."""
        self._watching = False
        self._waking = False
        self._workers = workers
        for number in range(workers):
            self._add_worker(f"worker-{number}")

    def run(self, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Runs a function on a worker; awaiting the future returns or raises what the function does."""
        future = self._loop.create_future()
        self._jobs.append((future, function, args))
        if self._turn != _NOBODY:
            self._watch_over()
        elif not self._waking:
            # Other jobs of this round of the loop come along.
            self._waking = True
            self._loop.call_soon(self._wake)
        return future

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """While a worker waits for another handler of this process, one more stands in for it.

        Otherwise handlers that call each other could come to hold all workers, each waiting for a free one.
        """
        self._add_worker("worker-standing-in")
        blocking()
        try:
            yield
        finally:
            self._turns.put(_ONE_LESS)

    def close(self) -> None:
        """Lets the workers end once they have done what is queued; does not wait for them."""
        for _ in range(self._workers):
            self._turns.put(_NOBODY)

    def pass_on(self, turn: int) -> None:
        """Ends a turn, if it is still in force; where jobs wait, another worker takes over."""
        if self._turn == turn:
            self._deliver_soon()
            self._end_turn(turn)
            self._resume()

    # --- turns -------------------------------------------------------------------------------------------

    def _begin_turn(self, instead_of: int) -> None:
        with self._changing_turns:
            if self._turn != instead_of:
                return
            self._turns_begun += 1
            self._turn = turn = self._turns_begun
        self._turns.put(turn)

    def _end_turn(self, turn: int) -> None:
        with self._changing_turns:
            if self._turn == turn:
                self._turn = _NOBODY

    def _resume(self) -> None:
        """Begins a turn where jobs wait and nobody has it: also one that came just as a turn ended."""
        if self._jobs and self._turn == _NOBODY:
            self._begin_turn(_NOBODY)

    def _add_worker(self, name: str) -> None:
        threading.Thread(target=self._work, name=name, daemon=True).start()

    # --- on the workers ----------------------------------------------------------------------------------

    def _work(self) -> None:
        _here.pool = self
        while (turn := self._turns.get()) > _NOBODY:
            if turn == self._turn:
                self._turn_taken = _here.turn = turn
                self._take_jobs(turn)
        while self._jobs and turn != _ONE_LESS:
            self._run_next()
        self._deliver_soon()

    def _take_jobs(self, turn: int) -> None:
        deliver_at = time.monotonic() + _STALLED_S
        while self._turn == turn:
            if self._jobs:
                self._run_next()
            else:
                self._deliver_soon()
                if not self._jobs:
                    self._end_turn(turn)
            if time.monotonic() >= deliver_at:
                deliver_at = time.monotonic() + _STALLED_S
                self._deliver_soon()
        self._deliver_soon()
        self._resume()

    def _run_next(self) -> None:
        try:
            future, function, args = self._jobs.popleft()
        except IndexError:  # who had the turn before took it
            return
        self._jobs_begun += 1
        if future.cancelled():
            return
        try:
            self._done.append((future, function(*args), None))
        except BaseException as error:  # noqa: BLE001  # it is raised where the future is awaited
            self._done.append((future, None, error))

    def _deliver_soon(self) -> None:
        if self._done and not self._delivery_due:
            self._delivery_due = True
            self._post(self._deliver)

    # --- on the loop -------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._waking = False
        self._resume()
        if len(self._jobs) > 1:
            self._watch_over()

    def _watch_over(self) -> None:
        if not self._watching:
            self._watching = True
            self._loop.call_later(_STALLED_S, self._watch, self._jobs_begun)

    def _watch(self, jobs_begun: int) -> None:
        """Delivers what a worker keeps back; when it has begun nothing of late, gives its turn to another."""
        self._watching = False
        self._deliver()
        turn = self._turn
        if turn == _NOBODY:
            self._resume()
        elif self._jobs and self._jobs_begun == jobs_begun and self._turn_taken == turn:
            self._begin_turn(turn)
        if turn != _NOBODY or self._jobs:
            self._watch_over()

    def _deliver(self) -> None:
        self._delivery_due = False
        while self._done:
            future, result, error = self._done.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
