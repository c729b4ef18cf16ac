"""A holding: what a reader has while a partition is its own — the mark, the blocked keys, the right to commit both."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mesh import letters
from mesh.commit import Committed, Failed, Outcome, Stale
from mesh.errors import MeshError, UndecodableEvent
from mesh.handling import Advances, Batch, Handler, Handling
from mesh.marks import LineState, Mark, Start
from mesh.source import Delivery, Source
from mesh.telemetry import dead_letter_observed, effect_observed, freshness_observed
from mesh.unit import Run, Unit

if TYPE_CHECKING:
    from mesh.container import MeshContainer

_logger = logging.getLogger(__name__)


_Ran = tuple[Batch, tuple[int, Outcome] | None]
"""What deliveries came to and, where that was committed at once, up to which position and with what outcome."""


class MarkMoved(Exception):
    """Another process advanced the mark: read it again."""


class Holding:
    """One subscription, source and partition, as long as this process holds it."""

    def __init__(self, container: MeshContainer, handling: Handling, source: Source, partition: int, start: Start):
        self.container = container
        self.handling = handling
        self.source = source
        self.partition = partition
        self.start = start
        self.handler = Handler(container, handling, source, partition)
        self.mark = Mark("", handling.subscription, source.stream, partition, start)
        self.blocked: set[letters.Blocked] = set()
        self.has_letters = False
        """Whether there may be dead letters; without any, nobody can ask for one."""
        self.live_position = 0
        """Stream sequence up to which the live flow is handled or parked."""
        self._commit_lock = asyncio.Lock()

    async def load(self) -> None:
        """Reads mark and blocked keys from the database: the truth, whatever was known before."""
        database = self.container.database
        where = (self.handling.subscription, self.source.stream, self.partition)
        async with self.container.loading:
            self.mark = await self.container.in_thread(Mark.load, database, *where, self.start)
            self.blocked = await self.container.in_thread(letters.blocked_keys, database, *where)
            self.has_letters = await self.container.in_thread(letters.any_letter, database, *where)
        self.live_position = self.mark.position

    async def handle(
        self, deliveries: list[Delivery], position: int | None = None, *, recalling: bool = True
    ) -> Batch | None:
        """Runs the handlers of consecutive deliveries and commits their effects with the mark.

        ``position`` is where the live flow stands once all of them are handled. Returns ``None`` when what they
        read has changed meanwhile or the run cannot be stored: try fewer. Raises `MarkMoved`.

        Where something recalled no longer held, all is read at the second try.
        """
        calm = not any(state.parked for state in self.mark.lines.values())
        async with self._commit_lock if calm else contextlib.nullcontext():
            batch, done = await self._run(deliveries, position, recalling, calm)
            if not batch.units:
                # Only events of other types: the mark moves now, and is written with the next commit.
                self.mark.advanced(batch.advances, self.mark.position, self.mark.revision)
                return batch
            try:
                if done is not None:
                    fresh = self._took_over(batch.advances, *done)
                else:
                    commit = self._commit if calm else self.commit
                    fresh = await _in_context(batch, commit(batch.units, batch.advances))
            except MeshError as error:
                # What cannot be stored, such as a document too large, is the fault of one of them: find it.
                return Batch(failed=deliveries[0], error=error) if len(deliveries) == 1 else None
        if not fresh:
            return await self.handle(deliveries, position, recalling=False) if batch.recalled else None
        if any(collection == letters.DEAD_LETTERS for unit in batch.units for collection, _ in unit.staged):
            self.has_letters = True
        now = datetime.now(UTC)
        for event in batch.effects:
            age_s = (now - event.time).total_seconds()
            effect_observed(self.handling.subscription, event.origin, age_s)
            if event.agreement and self.source.stream.startswith("RECEIVED_"):
                freshness_observed(event.agreement, age_s)
        return batch

    async def _run(self, deliveries: list[Delivery], position: int | None, recalling: bool, calm: bool) -> _Ran:
        ran: _Ran = await self.container.host.pool.run(self._run_blocking, deliveries, position, recalling, calm)
        return ran

    def _run_blocking(self, deliveries: list[Delivery], position: int | None, recalling: bool, calm: bool) -> _Ran:
        """Runs the handlers; commits at once where nobody else commits, for this holding or at all."""
        batch = self.handler.run(deliveries, self.mark, self.blocked, recalling)
        if position is not None and batch.handled == len(deliveries):
            self.live_position = max(self.live_position, position)
        if not (calm and batch.units):
            return batch, None
        reached = self.safe_position()
        run = Run([*batch.units, self.mark.advance(batch.advances, reached)])
        context = batch.context or contextvars.copy_context()
        outcome: Outcome | None = context.run(self.container.commit_if_quiet, run)
        return batch, None if outcome is None else (reached, outcome)

    async def commit(self, units: list[Unit], advances: Advances) -> bool:
        """Commits units with the mark's advance; ``False`` when a document they read has changed.

        Raises `MarkMoved`, or the `MeshError` because of which they cannot be stored.
        """
        async with self._commit_lock:
            return await self._commit(units, advances)

    async def _commit(self, units: list[Unit], advances: Advances) -> bool:
        position = self.safe_position()
        outcome = await self.container.commit(Run([*units, self.mark.advance(advances, position)]))
        return self._took_over(advances, position, outcome)

    def _took_over(self, advances: Advances, position: int, outcome: Outcome) -> bool:
        """Moves the mark where it was committed. Returns and raises what `commit` does."""
        if isinstance(outcome, Stale):
            if self.mark.address in outcome.addresses:
                raise MarkMoved(self.mark.id)
            return False
        if isinstance(outcome, Failed):
            raise outcome.error
        assert isinstance(outcome, Committed)
        self.mark.advanced(advances, position, outcome.number)
        return True

    def safe_position(self) -> int:
        """Stream sequence behind which a new reader may begin: parked lines hold it back."""
        parked = [state.position for state in self.mark.lines.values() if state.parked]
        return max(self.start.position, min([self.live_position, *parked]))

    async def buried(self, state: LineState, delivery: Delivery, error: MeshError) -> bool:
        """Counts a failure; when it is one too many the event becomes a dead letter and the mark moves on."""
        if error.transient:
            return False
        state.attempts += 1
        limit = self.container.settings.runtime.handler_attempts
        if state.attempts < limit and not isinstance(error, UndecodableEvent):
            return False
        letter = self.handler.letter(delivery, error, state.attempts)
        if not await self.commit([letter], {delivery.line: (delivery.sequence, delivery.position)}):
            return False
        if delivery.key:
            self.blocked.add((delivery.line, delivery.key))
        self._mourn(delivery.line, f"{delivery.sequence}: {letters.describe(error)}")
        return True

    async def give_up_range(self, state: LineState, last: int) -> None:
        """Moves the mark over events that exist nowhere any more; one dead letter names them."""
        first = state.sequence + 1
        letter = self.handler.letter_of_range(state.line, first, last)
        if await self.commit([letter], {state.line: (last, state.position)}):
            self._mourn(state.line, f"{first} to {last} are lost")

    def _mourn(self, line: str, what: str) -> None:
        self.has_letters = True
        dead_letter_observed(self.handling.subscription, line.split("/")[-2])
        _logger.error("%s: dead letter on %s: %s", self.handling.subscription, line, what)


async def _in_context(batch: Batch, commit: Coroutine[Any, Any, bool]) -> bool:
    """Runs a commit in the trace of the first event of its batch; a commit serves many, a span has one parent."""
    if batch.context is None:
        return await commit
    return await asyncio.create_task(commit, context=batch.context)
