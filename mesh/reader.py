"""A reader: one subscription on one stream and partition.

It handles events in the order of each line and commits effects with the mark. A line whose next event is being
retried or is missing is *parked*: read apart, so it holds back nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from nameko.extensions import Entrypoint
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError
from pymongo.errors import PyMongoError

from mesh import letters
from mesh.call import Call
from mesh.commit import Committed, Failed, Stale
from mesh.cursor import Cursor, CursorLost
from mesh.errors import MeshError, UndecodableEvent
from mesh.events import Event, from_headers
from mesh.marks import LineState, Mark, Start
from mesh.source import Delivery, Refilled, Source, delivery_of, sequence_of
from mesh.store import StagedInRun
from mesh.telemetry import consumer_span, dead_letter_observed, effect_observed
from mesh.unit import Run, Unit

if TYPE_CHECKING:
    from mesh.container import MeshContainer

_logger = logging.getLogger(__name__)

RUN_CAP = 128
"""Events whose effects share a batch."""
_PERSIST_AFTER_S = 1.0
_LETTERS_EVERY_S = 1.0
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.05, 5.0


@dataclass(frozen=True)
class Handling:
    """What a subscription does with an event."""

    subscription: str
    entrypoint: Entrypoint
    types: frozenset[str]
    arguments: Callable[[Event, Delivery], tuple[Any, ...]]
    """Arguments of the handler. May raise `UndecodableEvent`."""
    start_all: bool = False


class MarkMoved(Exception):
    """Another process advanced the mark: read it again."""


@dataclass(slots=True)
class _Batch:
    """What a run of deliveries came to, before it is committed."""

    units: list[Unit] = field(default_factory=list)
    advances: dict[str, tuple[int, int]] = field(default_factory=dict)
    handled: int = 0
    """Deliveries done with; the next one failed, or waits for what is staged to be committed."""
    effects: list[Event] = field(default_factory=list)
    failed: Delivery | None = None
    error: MeshError | None = None


class Reader:
    """Reads one partition of one source for one subscription."""

    def __init__(self, container: MeshContainer, handling: Handling, source: Source, partition: int, start: Start):
        self._container = container
        self._host = container.host
        self._handling = handling
        self._source = source
        self._partition = partition
        self._start = start
        self._duty = f"{handling.subscription}|{source.stream}|{partition}"
        self._mark = Mark("", "", "", partition, start)
        self._blocked: set[letters.Blocked] = set()
        self._cursor: Cursor | None = None
        self._task: asyncio.Task[None] | None = None
        self._commit_lock = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._live_position = 0
        self._dirty_since: float | None = None
        self._letters_at = 0.0
        self.pending = 0
        self.pending_since: datetime | None = None

    # --- lifecycle ---------------------------------------------------------------------------------------

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"reader-{self._duty}")

    async def stop(self) -> None:
        """Finishes the events being handled, then ends."""
        self._stopping.set()
        if self._cursor is not None:
            self._cursor.lose("stopping")
        if self._task is not None:
            await self._task

    def lose(self, reason: str) -> None:
        if self._cursor is not None:
            self._cursor.lose(reason)

    def wake_letters(self) -> None:
        self._letters_at = 0.0

    @property
    def mark(self) -> Mark:
        return self._mark

    @property
    def lines(self) -> list[LineState]:
        return list(self._mark.lines.values())

    async def _run(self) -> None:
        waits = 0
        while not self._stopping.is_set():
            if not self._container.members.holds(self._duty):
                await self._pause(0.2)
                continue
            try:
                await self._hold()
                waits = 0
            except NotFoundError:
                waits = min(waits + 1, 4)  # its stream is not declared yet
            except (CursorLost, MarkMoved) as lost:
                _logger.info("%s opens a new cursor: %s", self._duty, lost)
                waits = 0
            except (TimeoutError, NatsError, PyMongoError, MeshError, OSError) as error:
                waits = min(waits + 1, 8)
                _logger.warning("%s waits: %s", self._duty, type(error).__name__)
            except Exception:
                waits = 8
                _logger.exception("%s failed and begins anew", self._duty)
            await self._pause(_backoff(waits))

    async def _hold(self) -> None:
        """Holds the partition: reads the mark, then follows the stream from there until something breaks."""
        subscription, stream = self._handling.subscription, self._source.stream
        self._mark = await self._container.in_thread(
            Mark.load, self._container.database, subscription, stream, self._partition, self._start
        )
        self._blocked = await self._container.in_thread(
            letters.blocked_keys, self._container.database, subscription, stream, self._partition
        )
        self._live_position = self._mark.position
        await self._announce()
        async with Cursor(
            self._host.nats,
            self._host.jetstream,
            stream=stream,
            subject=self._source.filter(self._partition),
            start=self._mark.position + 1,
        ) as self._cursor:
            try:
                await self._follow(self._cursor)
            finally:
                self._cursor = None
                await self._leave_parked()

    async def _follow(self, cursor: Cursor) -> None:
        while not self._stopping.is_set() and self._container.members.holds(self._duty):
            if messages := await cursor.next(0.5):
                deliveries = [delivery_of(msg) for msg in messages]
                self._observe(deliveries[-1])
                await self._live(deliveries)
            await self._persist_when_idle()
            await self._act_on_letters()

    async def _announce(self) -> None:
        sequences = {line: state.sequence for line, state in self._mark.lines.items()}
        if not sequences:
            return
        with contextlib.suppress(MeshError):
            await self._source.log.announce(self._mark.position, sequences)

    async def _leave_parked(self) -> None:
        tasks = [state.task for state in self._mark.lines.values() if state.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _observe(self, last: Delivery) -> None:
        self.pending = last.pending
        self.pending_since = datetime.now(UTC) if last.pending else None

    # --- the live flow -----------------------------------------------------------------------------------

    async def _live(self, deliveries: list[Delivery]) -> None:
        ready = self._ready(deliveries)
        cap = RUN_CAP
        while ready:
            batch = await self._handle(ready[:cap])
            if batch is None:  # conflicts: smaller runs collide less
                cap = max(1, cap // 8)
                continue
            ready = ready[batch.handled :]
            if batch.failed is not None:
                if batch.error is not None:
                    await self._park_failed(batch.failed, batch.error)
                ready = self._without_parked(ready)
        self._live_position = max(self._live_position, deliveries[-1].position)
        if self._dirty_since is None:
            self._dirty_since = self._host.loop.time()

    def _ready(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Leaves out what the mark covers and what lies on parked lines; a hole parks its line."""
        ready = []
        reached: dict[str, int] = {}
        for delivery in deliveries:
            if delivery.sequence == 0:
                ready.append(delivery)  # no event at all: becomes a dead letter
                continue
            state = self._mark.line(delivery.line)
            sequence = reached.get(delivery.line, state.sequence)
            if state.parked:
                state.seen = max(state.seen, delivery.sequence)
            elif delivery.sequence == sequence + 1:
                reached[delivery.line] = delivery.sequence
                ready.append(delivery)
            elif delivery.sequence > sequence:
                if delivery.line in reached:
                    # What came before the hole is handled first; parking now would skip it.
                    ready.append(delivery)
                    continue
                self._park(state, delivery.sequence)
        return ready

    def _without_parked(self, deliveries: list[Delivery]) -> list[Delivery]:
        left = []
        for delivery in deliveries:
            state = self._mark.line(delivery.line)
            if delivery.sequence and state.parked:
                state.seen = max(state.seen, delivery.sequence)
            else:
                left.append(delivery)
        return left

    async def _handle(self, deliveries: list[Delivery]) -> _Batch | None:
        """Runs the handlers of consecutive deliveries and commits them with the mark; ``None`` after a conflict."""
        batch = await self._host.loop.run_in_executor(self._host.pool, self._run_handlers, deliveries)
        if batch.handled == 0:
            return batch
        if not batch.units and len(deliveries) == batch.handled and batch.failed is None:
            # Only events of other types: the mark moves with the next commit.
            self._mark.advanced(batch.advances, self._mark.position, self._mark.revision)
            return batch
        try:
            if not await self._commit(batch.units, batch.advances):
                return None
        except MeshError as error:
            # What cannot be stored, such as a document too large, is the fault of one of them: find it.
            return _Batch(failed=deliveries[0], error=error) if len(deliveries) == 1 else None
        now = datetime.now(UTC)
        for event in batch.effects:
            effect_observed(self._handling.subscription, event.origin, (now - event.time).total_seconds())
        return batch

    def _run_handlers(self, deliveries: list[Delivery]) -> _Batch:
        """Blocking: runs handlers until one fails or a hole shows; each reads through what those before staged."""
        batch = _Batch()
        beneath: dict[Any, Any] = {}
        for delivery in deliveries:
            if delivery.sequence:
                state = self._mark.line(delivery.line)
                reached = batch.advances.get(delivery.line, (state.sequence, 0))[0]
                if delivery.sequence <= reached:
                    batch.handled += 1
                    continue
                if delivery.sequence > reached + 1:
                    batch.failed, batch.error = delivery, None
                    self._host.post(self._park, state, delivery.sequence)
                    break
            try:
                unit = self._unit_of(delivery, beneath, batch)
            except StagedInRun:
                break  # commit what is there, then run this one again
            except MeshError as error:
                batch.failed, batch.error = delivery, error
                break
            if unit is not None:
                beneath.update(unit.staged)
                batch.units.append(unit)
            if delivery.sequence:
                batch.advances[delivery.line] = (delivery.sequence, delivery.position)
            batch.handled += 1
        return batch

    def _unit_of(self, delivery: Delivery, beneath: dict[Any, Any], batch: _Batch) -> Unit | None:
        """The unit of one delivery: its effects, a letter that waits, or nothing for an event of another type."""
        if not delivery.sequence:
            return self._letter(delivery, UndecodableEvent("ce-sequence is missing"), attempts=1)
        if delivery.type not in self._handling.types:
            if delivery.type:
                return None
        if (delivery.line, delivery.key) in self._blocked:
            unit = Unit(beneath=beneath)
            self._stage_letter(unit, delivery, letters.WAITING)
            return unit
        event = from_headers(delivery.headers, delivery.data)
        unit = self.effects_of(event, delivery, beneath)
        batch.effects.append(event)
        return unit

    def effects_of(self, event: Event, delivery: Delivery, beneath: dict[Any, Any]) -> Unit:
        """Blocking: runs the handler for one event; the unit also records what the effect is caused by."""
        arguments = self._handling.arguments(event, delivery)
        call = Call(self._handling.entrypoint, arguments, cause=event)
        with consumer_span(
            event,
            subscription=self._handling.subscription,
            subject=delivery.subject or self._subject_of(delivery.line),
            line=delivery.line,
        ):
            call.context = contextvars.copy_context()
            done = self._container.run_sealed(call, beneath)
        done.unit.inserts.append(
            (
                "effects",
                {
                    "subscription": self._handling.subscription,
                    "line": delivery.line,
                    "sequence": delivery.sequence,
                    "causation_id": event.id,
                    "committed": done.committed,
                    "caused_at": event.time,
                },
            )
        )
        return done.unit

    async def _commit(self, units: list[Unit], advances: dict[str, tuple[int, int]]) -> bool:
        """Commits units with the mark's advance; ``False`` when a document they read has changed."""
        async with self._commit_lock:
            position = self._safe_position()
            outcome = await self._container.commit(Run([*units, self._mark.advance(advances, position)]))
            if isinstance(outcome, Stale):
                if self._mark.address in outcome.addresses:
                    raise MarkMoved(self._duty)
                return False
            if isinstance(outcome, Failed):
                raise outcome.error
            assert isinstance(outcome, Committed)
            self._mark.advanced(advances, position, outcome.number)
            self._dirty_since = None
            return True

    def _safe_position(self) -> int:
        """Stream sequence behind which a new reader may begin: parked lines hold it back."""
        parked = [state.position for state in self._mark.lines.values() if state.parked]
        return max(self._start.position, min([self._live_position, *parked]))

    async def _persist_when_idle(self) -> None:
        if self._dirty_since is not None and self._host.loop.time() - self._dirty_since > _PERSIST_AFTER_S:
            self._dirty_since = None
            if self._safe_position() > self._mark.position:
                await self._commit([], {})

    # --- parked lines ------------------------------------------------------------------------------------

    async def _park_failed(self, delivery: Delivery, error: MeshError) -> None:
        """After a failure: a dead letter when it has failed often enough, else the line is parked for a retry."""
        state = self._mark.line(delivery.line)
        if not delivery.sequence:
            return
        if not await self._counts_as_dead(state, delivery, error):
            self._park(state, delivery.sequence)

    async def _counts_as_dead(self, state: LineState, delivery: Delivery, error: MeshError) -> bool:
        if error.transient:
            return False
        state.attempts += 1
        final = isinstance(error, UndecodableEvent)
        if state.attempts < self._host.settings.runtime.handler_attempts and not final:
            return False
        unit = self._letter(delivery, error, state.attempts)
        if not await self._commit([unit], {delivery.line: (delivery.sequence, delivery.position)}):
            return False
        if delivery.key:
            self._blocked.add((delivery.line, delivery.key))
        dead_letter_observed(self._handling.subscription, _topic_of(delivery.line))
        _logger.error(
            "%s: dead letter %s/%d: %s", self._duty, delivery.line, delivery.sequence, letters.describe(error)
        )
        return True

    def _letter(self, delivery: Delivery, error: MeshError, attempts: int) -> Unit:
        unit = Unit()
        self._stage_letter(unit, delivery, letters.DEAD, letters.describe(error), attempts)
        return unit

    def _stage_letter(
        self, unit: Unit, delivery: Delivery, state: str, error: str = "", attempts: int = 0, last: int | None = None
    ) -> None:
        letters.stage_letter(
            unit,
            subscription=self._handling.subscription,
            stream=self._source.stream,
            partition=self._partition,
            line=delivery.line,
            sequence=delivery.sequence or delivery.position,
            headers=delivery.headers,
            data=delivery.data,
            state=state,
            at=self._host.time.now(),
            error=error,
            attempts=attempts,
            last_sequence=last,
        )

    def _park(self, state: LineState, seen: int) -> None:
        state.seen = max(state.seen, seen)
        if not state.parked:
            state.parked = True
            state.task = asyncio.create_task(self._catch_up(state), name=f"parked-{self._duty}-{state.line}")

    async def _catch_up(self, state: LineState) -> None:
        """Reads a parked line apart from its mark on, until it is level with what the live flow has shown."""
        while True:
            try:
                if state.waits or state.attempts:
                    await asyncio.sleep(_backoff(max(state.waits, state.attempts)))
                if state.sequence >= state.seen:
                    state.parked, state.task = False, None
                    return
                await self._catch_up_once(state)
            except MarkMoved as moved:
                if self._cursor is not None:
                    self._cursor.lose(str(moved))
                return
            except (TimeoutError, NatsError, PyMongoError, MeshError, OSError) as error:
                state.waits += 1
                _logger.info("%s: parked line %s waits: %s", self._duty, state.line, type(error).__name__)
            except Exception:
                state.waits += 1
                _logger.exception("%s: parked line %s", self._duty, state.line)

    async def _catch_up_once(self, state: LineState) -> None:
        deliveries = await self._read_line(state)
        if not deliveries:
            state.waits += 1
            return
        batch = await self._handle(deliveries[: RUN_CAP if not state.waits else 1])
        if batch is None:
            state.waits += 1
        elif batch.failed is not None and batch.error is not None:
            if not await self._counts_as_dead(state, batch.failed, batch.error) and batch.error.transient:
                state.waits += 1

    async def _read_line(self, state: LineState) -> list[Delivery]:
        """The next events of a line: from the stream, else from the log behind it."""
        found: list[Delivery] = []
        at, sequence = state.position, state.sequence
        while len(found) < RUN_CAP and sequence < state.seen:
            delivery = await self._next_in_stream(state.line, at + 1)
            if delivery is None or delivery.sequence > sequence + 1:
                break
            at = delivery.position
            if delivery.sequence == sequence + 1:
                found.append(delivery)
                sequence = delivery.sequence
        return found or await self._read_log(state)

    async def _next_in_stream(self, line: str, position: int) -> Delivery | None:
        subject = self._subject_of(line)
        try:
            message = await self._host.jetstream.get_msg(
                self._source.stream, seq=position, subject=subject, direct=True, next=True
            )
        except NotFoundError:
            return None
        headers = dict(message.headers or {})
        return Delivery(line, sequence_of(headers), int(message.seq or 0), headers, bytes(message.data or b""), subject)

    def _subject_of(self, line: str) -> str:
        """Subject of a line in this source's stream."""
        prefix = self._source.subject.split(".")
        tokens = line.split("/")
        return ".".join([*prefix[: len(prefix) - len(tokens)], *tokens])

    async def _read_log(self, state: LineState) -> list[Delivery]:
        refilled = await self._source.log.refill(state.line, state.sequence, RUN_CAP)
        contiguous: list[Delivery] = []
        for delivery in refilled.deliveries:
            if delivery.sequence != state.sequence + 1 + len(contiguous):
                break
            contiguous.append(delivery)
        if contiguous:
            return contiguous
        if refilled.deliveries or refilled.head > state.sequence:
            await self._give_up_range(state, refilled)
        return []

    async def _give_up_range(self, state: LineState, refilled: Refilled) -> None:
        """A hole below the log's floor: one dead letter names the range, and the mark moves over it."""
        first = state.sequence + 1
        last = refilled.deliveries[0].sequence - 1 if refilled.deliveries else min(refilled.head, state.seen)
        if last < first:
            return
        gap = Delivery(state.line, first, state.position, {}, b"")
        unit = Unit()
        self._stage_letter(
            unit, gap, letters.DEAD, f"sequences {first}–{last} are in neither stream nor log", last=last
        )
        if await self._commit([unit], {state.line: (last, state.position)}):
            dead_letter_observed(self._handling.subscription, _topic_of(state.line))
            _logger.error("%s: sequences %d–%d of %s are lost", self._duty, first, last, state.line)

    # --- dead letters ------------------------------------------------------------------------------------

    async def _act_on_letters(self) -> None:
        """Does what operators asked of this reader's letters, between two batches of the live flow."""
        now = self._host.loop.time()
        if now - self._letters_at < _LETTERS_EVERY_S:
            return
        self._letters_at = now
        wished = await self._container.in_thread(
            letters.requested,
            self._container.database,
            self._handling.subscription,
            self._source.stream,
            self._partition,
        )
        for letter in wished:
            state = self._mark.lines.get(letter["line"])
            if state is None or not state.parked:
                await self._release(letter)

    async def _release(self, letter: dict[str, Any]) -> None:
        """Drops or retries a letter, then runs what waits behind it, in order, until one fails."""
        dropped = letter["state"] == letters.DROP
        blocked = (letter["line"], letter["key"])
        while True:
            outcome = await self._run_letter(letter, dropped)
            if outcome is not True:
                return
            if not letter["key"]:
                return
            following = await self._container.in_thread(letters.behind, self._container.database, letter)
            if following is None:
                self._blocked.discard(blocked)
                return
            if following["state"] == letters.DEAD:
                return
            letter, dropped = following, False

    async def _run_letter(self, letter: dict[str, Any], dropped: bool) -> bool:
        """Runs one letter; its effect is committed with its removal. Returns whether it is gone."""
        unit = Unit()
        if not dropped:
            try:
                unit = await self._container.in_thread(self._effects_of_letter, letter)
            except MeshError as error:
                if not error.transient:
                    letters.stage_failure(unit, letter, error)
                    await self._container.commit(Run([unit]))
                return False
        letters.stage_removal(unit, letter)
        return isinstance(await self._container.commit(Run([unit])), Committed)

    def _effects_of_letter(self, letter: dict[str, Any]) -> Unit:
        delivery = Delivery(letter["line"], letter["sequence"], 0, letter["headers"], letter["data"])
        return self.effects_of(from_headers(letter["headers"], letter["data"]), delivery, {})

    def backlog(self) -> int:
        """Events of this partition the broker still holds, as far as it has told."""
        return self.pending

    def age_s(self) -> float:
        """How long the oldest known event not yet handled has waited; 0 when level."""
        if self.pending and self.pending_since:
            return (datetime.now(UTC) - self.pending_since) / timedelta(seconds=1)
        return 0.0


def _topic_of(line: str) -> str:
    return line.split("/")[-2]


def _backoff(waits: int) -> float:
    if waits <= 0:
        return 0.0
    return min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2.0 ** min(waits, 10)) * random.uniform(0.8, 1.2)
