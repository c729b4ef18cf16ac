"""Group commit: units that finish while a commit is in flight go out together in the next one.

One transaction holds everything: the check of all views, the counter document that numbers events and
serialises the service's commits, documents, log entries and marks. Only then is anybody answered.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pymongo import InsertOne, ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database

from mesh.errors import Internal, MeshError, ResourceExhausted, Unavailable
from mesh.log import LOGGED_AT, Log, void_entry
from mesh.telemetry import commit_observed
from mesh.transactions import COUNTER, Transactions, TryAgain
from mesh.unit import ABSENT, REVISION, Address, Raw, Run
from mesh.writes import ViewChanged, checking, checks_itself, looked_up

_logger = logging.getLogger(__name__)

_BATCHES_REMEMBERED = 64


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
    """What the runs have seen, where that was not looked up."""


_Written = tuple[_Batch, Committed, dict[str, list[Raw]]]
"""What one transaction has written: which runs, as what, and the entries of each log."""


class Committer:
    """The one thread that commits for a service in this process."""

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
        self._queue: queue.SimpleQueue[tuple[Run, Answer] | Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name=f"commit-{service}", daemon=True)

    def start(self) -> None:
        self._database[COUNTER].update_one({"_id": COUNTER}, {"$setOnInsert": {"commit": 0}}, upsert=True)
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
        """Queues a run; ``answer`` is called once, on the committing thread.

        A queue that is full refuses only runs with a deadline: what must happen some day may wait.
        """
        if run.deadline is not None and self._queue.qsize() >= self._queue_limit:
            answer(Failed(ResourceExhausted("commits are queueing", retry_after_s=0.5)))
            return
        self._queue.put((run, answer))

    def raise_heads(self, log: Log, position: int, sequences: Mapping[str, int]) -> None:
        """Raises a log's counters above numbers others have seen, so that a restore repeats none.

        Waits for the committing thread. The numbers between are logged as VOID.
        """
        raised: Future[None] = Future()

        def run() -> None:
            try:
                self._transactions.run(lambda session, _: (self._write_void(session, log, position, sequences), None))
            except Exception as error:  # noqa: BLE001  # for whoever waits
                raised.set_exception(error)
            else:
                raised.set_result(None)

        self._queue.put(run)
        raised.result()

    def _loop(self) -> None:
        while (item := self._queue.get()) is not None:
            if callable(item):
                item()
                continue
            stopping, later = self._gather(batch := [item])
            self._commit(batch)
            for job in later:
                job()
            if stopping:
                return

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
        careful = False

        def transact(session: ClientSession, batch_id: str) -> tuple[bool, _Written]:
            nonlocal waiting, careful
            now = time.monotonic()
            waiting = [i for i in waiting if (deadline := runs[i].deadline) is None or deadline > now]
            trusting, careful = not careful, True  # whatever went wrong, the next try looks first
            try:
                written = self._write(session, runs, waiting, batch_id, careful=not trusting)
            except ViewChanged as changed:
                raise TryAgain from changed
            return bool(written[0].runs), written

        batch, committed, logged = self._transactions.run(transact)
        for index in batch.runs:
            outcomes[index] = committed
        for index, addresses in batch.stale.items():
            outcomes[index] = Stale(addresses)
        for log, entries in logged.items():
            self._on_logged(log, entries)
        commit_observed(self._service, sum(len(runs[i].units) for i in batch.runs), time.monotonic() - started)
        return outcomes

    def _write(
        self, session: ClientSession, runs: list[Run], waiting: list[int], batch_id: str, *, careful: bool
    ) -> _Written:
        """Writes what the runs want; carefully, it first looks whether what they saw still holds.

        Raises `ViewChanged` when it did not look and something did not hold.
        """
        at = _now()
        batch = self._accept(session, runs, waiting) if careful else self._trust(session, runs, waiting)
        if not batch.runs:
            return batch, Committed(0, at), {}
        accepted = [runs[i] for i in batch.runs]
        numbers = self._number(session, accepted, batch_id)
        number = int(numbers["commit"])
        staged = {address: raw and {**raw, REVISION: number} for address, raw in batch.staged.items()}
        writes = looked_up(staged) if careful else checking(staged, batch.seen)
        for run in accepted:
            for unit in run.units:
                for collection, raw in unit.inserts:
                    writes[collection].operations.append(InsertOne({**raw, "committed_at": at}))
        for collection, of in writes.items():
            of.run(self._database, collection, session)
        logged = self._entries(accepted, numbers, at)
        for log, entries in logged.items():
            self._database[self._logs[log].collection].insert_many(entries, session=session)
        return batch, Committed(number, at), logged

    def _trust(self, session: ClientSession, runs: list[Run], waiting: Iterable[int]) -> _Batch:
        """Takes every run that meets no other of the batch; looks only at what is read and not written."""
        batch = _Batch()
        for index in waiting:
            view = runs[index].views()
            stale = tuple(address for address in view if address in batch.staged)
            if stale:
                batch.stale[index] = stale
                continue
            if any(batch.seen.setdefault(address, seen) != seen for address, seen in view.items()):
                raise ViewChanged("two runs saw one document differently")
            batch.runs.append(index)
            batch.staged.update(runs[index].staged())
        unchecked = [
            address
            for address, seen in batch.seen.items()
            if address not in batch.staged or not checks_itself(batch.staged[address], seen)
        ]
        revisions = self._revisions(session, unchecked)
        if any(revisions.get(address, ABSENT) != batch.seen[address] for address in unchecked):
            raise ViewChanged("a document that was read has changed")
        return batch

    def _accept(self, session: ClientSession, runs: list[Run], waiting: Iterable[int]) -> _Batch:
        """Takes the runs whose views hold, also against what those before them in the batch are about to write."""
        views = {index: runs[index].views() for index in waiting}
        revisions = self._revisions(session, {address for view in views.values() for address in view})
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
                batch.runs.append(index)
                batch.staged.update(runs[index].staged())
        return batch

    def _revisions(self, session: ClientSession, addresses: Iterable[Address]) -> dict[Address, int]:
        by_collection: dict[str, list[Any]] = defaultdict(list)
        for collection, id in addresses:
            by_collection[collection].append(id)
        found: dict[Address, int] = {}
        for collection, ids in by_collection.items():
            for raw in self._database[collection].find({"_id": {"$in": ids}}, {REVISION: 1}, session=session):
                found[collection, raw["_id"]] = raw.get(REVISION, ABSENT)
        return found

    def _number(self, session: ClientSession, runs: list[Run], batch_id: str) -> Raw:
        """Advances the counters by what the runs emit; returns them as they are afterwards."""
        increments: dict[str, int] = defaultdict(int)
        increments["commit"] = 1
        for run in runs:
            for unit in run.units:
                for event in unit.outgoing:
                    increments[f"logs.{event.log}.position"] += 1
                    increments[f"logs.{event.log}.lines.{event.line}"] += 1
        numbers = self._database[COUNTER].find_one_and_update(
            {"_id": COUNTER},
            {"$inc": increments, "$push": {"batches": {"$each": [batch_id], "$slice": -_BATCHES_REMEMBERED}}},
            projection=dict.fromkeys(increments, 1),
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if numbers is None:
            raise Internal("the counter document of the service is gone")
        return numbers

    @staticmethod
    def _entries(runs: list[Run], numbers: Raw, at: datetime) -> dict[str, list[Raw]]:
        outgoing = [event for run in runs for unit in run.units for event in unit.outgoing]
        left: dict[tuple[str, str], int] = defaultdict(int)
        for event in outgoing:
            left[event.log, ""] += 1
            left[event.log, event.line] += 1
        logged: dict[str, list[Raw]] = defaultdict(list)
        for event in outgoing:
            counters = numbers["logs"][event.log]
            left[event.log, ""] -= 1
            left[event.log, event.line] -= 1
            sequence = counters["lines"][event.line] - left[event.log, event.line]
            logged[event.log].append(
                {
                    "_id": counters["position"] - left[event.log, ""],
                    "line": event.line,
                    "sequence": sequence,
                    "subject": event.subject,
                    "type": event.type,
                    "headers": _numbered(event.headers, sequence, at),
                    "data": event.data,
                    "at": at,
                }
            )
        return logged

    def _write_void(self, session: ClientSession, log: Log, position: int, sequences: Mapping[str, int]) -> bool:
        """Raises counters; returns whether there was anything to raise."""
        counter = self._database[COUNTER].find_one({"_id": COUNTER}, session=session) or {}
        known = counter.get("logs", {}).get(log.name, {})
        lines = known.get("lines", {})
        gaps = [(line, n) for line, to in sequences.items() for n in range(lines.get(line, 0) + 1, to + 1)]
        start = known.get("position", 0) + 1
        last = max(position, start - 1 + len(gaps))
        gaps += [("", 0)] * (last - start + 1 - len(gaps))
        at = _now()
        entries = [void_entry(log, start + i, line, n, at) for i, (line, n) in enumerate(gaps)]
        raised = {f"logs.{log.name}.lines.{line}": to for line, to in sequences.items()}
        raised[f"logs.{log.name}.position"] = last
        self._database[COUNTER].update_one({"_id": COUNTER}, {"$max": raised, "$inc": {"commit": 1}}, session=session)
        if entries:
            self._database[log.collection].insert_many(entries, session=session)
            _logger.warning("%s: log %s restored: %d numbers are VOID", self._service, log.name, len(entries))
        return bool(entries)


def heads(database: Database[Raw], log: Log) -> tuple[int, dict[str, int]]:
    """Returns the highest position of a log and the highest sequence of each of its lines, read at one moment."""
    counter = database[COUNTER].find_one({"_id": COUNTER}, {f"logs.{log.name}": 1}) or {}
    numbers = counter.get("logs", {}).get(log.name, {})
    return int(numbers.get("position", 0)), {line: int(n) for line, n in numbers.get("lines", {}).items()}


def _numbered(headers: dict[str, str], sequence: int, at: datetime) -> dict[str, str]:
    """Adds what only the commit knows. An event that comes from another log keeps its number at birth."""
    number = str(sequence)
    numbered = {**headers, "ce-sequence": number, LOGGED_AT: at.isoformat(timespec="milliseconds")[:-6] + "Z"}
    if headers.get("ce-originsequence", "0") == "0":
        numbered["ce-originsequence"] = numbered["ce-keyrevision"] = number
    return numbered


def _now() -> datetime:
    """The present, cut to the milliseconds MongoDB keeps."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
