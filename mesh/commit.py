"""Group commit: units that finish while a commit is in flight go out together in the next one.

One transaction holds everything: the check of all views, the counter document that numbers events and
serialises the service's commits, documents, log entries and marks. Only then is anybody answered.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from mesh import counter as counters
from mesh.counter import COUNTER, PROGRESS, Draft, found, look
from mesh.errors import Internal, MeshError, ResourceExhausted, Unavailable
from mesh.known import Known
from mesh.log import Log, void_entry
from mesh.pipeline import Pipeline
from mesh.telemetry import commit_observed
from mesh.transactions import Transactions, TryAgain
from mesh.unit import ABSENT, REVISION, Address, Raw, Run, Unit
from mesh.writes import Command, ViewChanged, Writes, checks_itself, looks, revisions, writes_of

_logger = logging.getLogger(__name__)

_TRIES = 20
"""How often a batch may look and yet not find what it has looked at."""
_CROWDED_FOR = 16
"""Commits for which the counter is read, not guessed, after another process was found to commit here too."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The run is durable."""

    number: int
    """Number of the commit: the revision of every document it wrote."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Stale:
    """A view no longer held: nothing of the run was written, run it again."""

    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing of the run was written."""

    error: MeshError


Outcome = Committed | Stale | Failed
Answer = Callable[[Outcome], None]


@dataclass(slots=True)
class _Batch:
    """What one transaction is about to write."""

    runs: list[int] = field(default_factory=list)
    staged: dict[Address, Raw | None] = field(default_factory=dict)
    stale: dict[int, tuple[Address, ...]] = field(default_factory=dict)
    seen: dict[Address, int] = field(default_factory=dict)
    """What the runs have seen."""

    def take(self, index: int, run: Run) -> None:
        self.runs.append(index)
        self.staged.update(run.staged())

    def unchecked(self, known: Known) -> dict[Address, int]:
        """What was seen of documents whose write does not check it, and of which it is not known to hold."""
        return {
            address: seen
            for address, seen in self.seen.items()
            if not (address in self.staged and checks_itself(self.staged[address], seen))
            and not known.holds(address, seen)
        }


@dataclass(frozen=True, slots=True)
class _Written:
    """What one transaction has written."""

    batch: _Batch
    committed: Committed
    logged: dict[str, list[Raw]]
    known: Known
    draft: Draft


class Committer:
    """What commits for a service in this process: one thread, or at a quiet moment whoever has something to commit."""

    def __init__(
        self,
        database: Database[Raw],
        *,
        logs: Mapping[str, Log],
        batch_units: int = 500,
        batch_bytes: int = 8 << 20,
        queue_limit: int = 2000,
        on_logged: Callable[[str, list[Raw]], None] = lambda log, entries: None,
        on_session: Callable[[Raw], None] = lambda session_id: None,
        service: str = "",
    ) -> None:
        self._database = database
        self._logs = logs
        self._batch_units, self._batch_bytes = batch_units, batch_bytes
        self._queue_limit = queue_limit
        self._on_logged = on_logged
        self._transactions = Transactions(database, service=service, on_session=on_session)
        self._service = service
        self._known: Known | None = None
        self._crowded = 0
        self._queue: queue.SimpleQueue[tuple[Run, Answer] | Callable[[], None] | None] = queue.SimpleQueue()
        self._turn = threading.Lock()
        """Held by the thread that commits."""
        self._thread_waits = False
        """Whether that is to be the own thread next."""
        self._thread = threading.Thread(target=self._loop, name=f"commit-{service}", daemon=True)

    def start(self) -> None:
        counters.begin(self._database)
        self._thread.start()

    def stop(self) -> None:
        """Commits what was submitted, then ends the thread."""
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def give_up_after(self, seconds: float) -> None:
        """From then on nothing is tried again: a process that stops cannot wait for its database for ever."""
        self._transactions.give_up_at = time.monotonic() + seconds

    def submit(self, run: Run, answer: Answer) -> None:
        """Queues a run; ``answer`` is called once, on the own thread.

        A queue that is full refuses only runs with a deadline: what must happen some day may wait.
        """
        if run.deadline is not None and self._queue.qsize() >= self._queue_limit:
            answer(Failed(ResourceExhausted("commits are queueing", retry_after_s=0.5)))
            return
        self._queue.put((run, answer))

    @contextmanager
    def quiet(self) -> Iterator[bool]:
        """Whether nothing else is being committed or waits to be; then, inside the block, the caller may `commit`.

        That spares a lone run two changes of threads, a quarter of a millisecond. With others under way it is better
        submitted: then it shares their transaction.
        """
        mine = not self._thread_waits and self._queue.empty() and self._turn.acquire(blocking=False)
        try:
            yield mine
        finally:
            if mine:
                self._turn.release()

    def commit(self, run: Run) -> Outcome:
        """Commits on the calling thread, for whom it is `quiet`."""
        [outcome] = self._outcomes([run])
        return outcome

    def raise_heads(self, log: Log, position: int, sequences: Mapping[str, int]) -> None:
        """Raises a log's counters above numbers others have seen, so that a restore repeats none.

        Waits for the committing thread. The numbers between are logged as VOID.
        """
        raised: Future[None] = Future()

        def run() -> None:
            try:
                self._transactions.run(
                    lambda pipeline, _: (self._write_void(pipeline.session, log, position, sequences), None)
                )
            except Exception as error:  # noqa: BLE001  # for whoever waits
                raised.set_exception(error)
            else:
                raised.set_result(None)

        self._queue.put(run)
        raised.result()

    def _loop(self) -> None:
        while (item := self._queue.get()) is not None:
            self._thread_waits = True
            with self._turn:
                self._thread_waits = False
                if self._take(item):
                    return

    def _take(self, item: tuple[Run, Answer] | Callable[[], None]) -> bool:
        """Does what was queued, with what has been queued behind it. Returns whether to stop."""
        if callable(item):
            item()
            return False
        stopping, later = self._gather(batch := [item])
        self._commit(batch)
        for job in later:
            job()
        return stopping

    def _gather(self, batch: list[tuple[Run, Answer]]) -> tuple[bool, list[Callable[[], None]]]:
        """Adds what is queued, up to the caps. Returns whether to stop, and other jobs met on the way."""
        units = len(batch[0][0].units)
        size = sum(unit.size() for unit in batch[0][0].units)
        while units < self._batch_units and size < self._batch_bytes:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return False, []
            if item is None:
                return True, []
            if callable(item):
                return False, [item]
            batch.append(item)
            units += len(item[0].units)
            size += sum(unit.size() for unit in item[0].units)
        return False, []

    def _commit(self, batch: list[tuple[Run, Answer]]) -> None:
        for (_, answer), outcome in zip(batch, self._outcomes([run for run, _ in batch]), strict=True):
            try:
                answer(outcome)
            except Exception:
                _logger.exception("%s: an answer to a commit failed", self._service)

    def _outcomes(self, runs: list[Run]) -> list[Outcome]:
        try:
            return self._attempt(runs)
        except MeshError as error:
            return [Failed(error)] * len(runs)
        except Exception as error:
            # A run that cannot be stored (too large, not encodable) aborts everything and does not say which it
            # was: those beside it go one by one.
            if len(runs) > 1:
                return [outcome for run in runs for outcome in self._outcomes([run])]
            _logger.exception("%s: a commit failed", self._service)
            return [Failed(Internal(f"the commit failed: {type(error).__name__}"))]

    def _attempt(self, runs: list[Run]) -> list[Outcome]:
        """Commits until it is known what became of every run; those past their deadline drop out between tries."""
        started = time.monotonic()
        outcomes: list[Outcome] = [Failed(Unavailable("the database did not answer in time"))] * len(runs)
        waiting = list(range(len(runs)))
        tries = 0

        def transact(pipeline: Pipeline, batch_id: str) -> tuple[bool, _Written]:
            nonlocal waiting, tries
            now = time.monotonic()
            waiting = [i for i in waiting if (deadline := runs[i].deadline) is None or deadline > now]
            known, self._known = self._known, None  # whatever goes wrong, the next try looks first
            tries += 1
            if tries > _TRIES:
                raise Internal("what was looked up did not hold when it was written")
            try:
                written = self._write(pipeline, runs, waiting, batch_id, known)
            except ViewChanged as changed:
                raise TryAgain from changed
            except PyMongoError:
                tries = 0  # such as a conflict with another process, or a database that is away: that may last
                raise
            return bool(written.batch.runs), written

        written = self._transactions.run(transact)
        self._remember(written)
        for index in written.batch.runs:
            outcomes[index] = written.committed
        for index, addresses in written.batch.stale.items():
            outcomes[index] = Stale(addresses)
        for log, entries in written.logged.items():
            self._on_logged(log, entries)
        units = sum(len(runs[i].units) for i in written.batch.runs)
        commit_observed(self._service, units, time.monotonic() - started)
        return outcomes

    def _remember(self, written: _Written) -> None:
        """Keeps what is now known, unless others commit here too: then it is sooner read than guessed."""
        if self._crowded:
            self._crowded -= 1
            return
        if written.batch.runs:
            written.draft.keep()
            written.known.committed(written.batch.seen, written.batch.staged, written.draft.number)
        self._known = written.known

    def _write(
        self, pipeline: Pipeline, runs: list[Run], waiting: list[int], batch_id: str, known: Known | None
    ) -> _Written:
        """Writes what the runs want; where the counter is not known, it first looks whether what they saw still holds.

        Raises `ViewChanged` when it did not look and something did not hold.
        """
        at = _now()
        if known is None:
            known, batch = self._look(pipeline, runs, waiting)
        else:
            batch = _trust(runs, waiting)
        draft = known.counter.draft()
        if not batch.runs:
            return _Written(batch, Committed(0, at), {}, known, draft)
        units = [unit for i in batch.runs for unit in runs[i].units]
        logged = draft.entries((event for unit in units for event in unit.outgoing), at)
        writes = self._writes(batch, units, draft.number, at)
        for log, entries in logged.items():
            writes[self._logs[log].collection].inserts = entries
        marks = writes[PROGRESS]
        count = draft.command(batch_id, marks.updates)
        marks.updates = []
        self._send(pipeline, batch, known, count, writes)
        return _Written(batch, Committed(draft.number, at), logged, known, draft)

    @staticmethod
    def _writes(batch: _Batch, units: list[Unit], number: int, at: datetime) -> dict[str, Writes]:
        staged = {address: raw and {**raw, REVISION: number} for address, raw in batch.staged.items()}
        writes = writes_of(staged, batch.seen)
        for unit in units:
            for collection, raw in unit.inserts:
                writes[collection].inserts.append({**raw, "committed_at": at})
        return writes

    def _send(
        self, pipeline: Pipeline, batch: _Batch, known: Known, count: Command, writes: Mapping[str, Writes]
    ) -> None:
        """Sends everything at once: looks at what neither a write checks nor is known, the counter, documents, logs."""
        unchecked = batch.unchecked(known)
        looking = looks(unchecked)
        commands = [count, *(command for name, of in writes.items() for command in of.commands(name))]
        try:
            replies = pipeline.send(self._database.name, [*looking, *(command.body for command in commands)])
        except DuplicateKeyError as error:
            if not batch.seen:
                raise
            raise ViewChanged("a document seen absent exists") from error
        if not _hold(unchecked, revisions(replies[: len(looking)])):
            raise ViewChanged("a document that was read has changed")
        counted, *written = replies[len(looking) :]
        if counted["n"] < count.meets:
            self._crowded = _CROWDED_FOR
            raise ViewChanged("another process has committed, or moved a mark")
        for command, reply in zip(commands[1:], written, strict=True):
            command.check(reply)

    def _look(self, pipeline: Pipeline, runs: list[Run], waiting: Iterable[int]) -> tuple[Known, _Batch]:
        """Takes the runs whose views hold, also against what those before them in the batch are about to write."""
        views = {index: runs[index].views() for index in waiting}
        looking = looks({address for view in views.values() for address in view})
        *replies, counted = pipeline.send(self._database.name, [*looking, look()])
        counter = found(counted)
        if counter is None:
            raise Internal("the counter document of the service is gone")
        return Known(counter), _accept(runs, views, revisions(replies))

    def _write_void(self, session: ClientSession, log: Log, position: int, sequences: Mapping[str, int]) -> bool:
        """Raises counters; returns whether there was anything to raise."""
        self._known = None
        known = counters.read(self._database, session).head(log.name)
        gaps = [(line, n) for line, to in sequences.items() for n in range(known.lines.get(line, 0) + 1, to + 1)]
        start = known.position + 1
        last = max(position, start - 1 + len(gaps))
        gaps += [("", 0)] * (last - start + 1 - len(gaps))
        at = _now()
        entries = [void_entry(log, start + i, line, n, at) for i, (line, n) in enumerate(gaps)]
        raised = {f"logs.{log.name}.lines.{line}": to for line, to in sequences.items()}
        raised[f"logs.{log.name}.position"] = last
        self._database[PROGRESS].update_one({"_id": COUNTER}, {"$max": raised, "$inc": {"commit": 1}}, session=session)
        if entries:
            self._database[log.collection].insert_many(entries, session=session)
            _logger.warning("%s: log %s restored: %d numbers are VOID", self._service, log.name, len(entries))
        return bool(entries)


def _trust(runs: list[Run], waiting: Iterable[int]) -> _Batch:
    """Takes every run that meets no other of the batch. Raises `ViewChanged` where two saw one document differently."""
    batch = _Batch()
    for index in waiting:
        view = runs[index].views()
        stale = tuple(address for address in view if address in batch.staged)
        if stale:
            batch.stale[index] = stale
            continue
        if any(batch.seen.setdefault(address, seen) != seen for address, seen in view.items()):
            raise ViewChanged("two runs saw one document differently")
        batch.take(index, runs[index])
    return batch


def _accept(runs: list[Run], views: Mapping[int, Mapping[Address, int]], revisions: Mapping[Address, int]) -> _Batch:
    """Takes the runs whose views hold now that all have been looked up."""
    batch = _Batch()
    for index, view in views.items():
        stale = tuple(
            address
            for address, seen in view.items()
            if revisions.get(address, ABSENT) != seen or address in batch.staged
        )
        if stale:
            batch.stale[index] = stale
        else:
            # It is checked once more as it is written: a collection that another process has just created can be
            # missing from MongoDB's catalog for a moment in which the snapshot already has its documents.
            batch.seen.update(view)
            batch.take(index, runs[index])
    return batch


def _hold(seen: Mapping[Address, int], revisions: Mapping[Address, int]) -> bool:
    return all(revisions.get(address, ABSENT) == revision for address, revision in seen.items())


def _now() -> datetime:
    """The present, cut to the milliseconds MongoDB keeps."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
