"""A reader: one subscription on one stream and partition.

It follows the stream behind its mark, handles the events of each line in order and commits effects with the mark.
Whatever breaks makes it begin anew behind the mark as the database has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError
from pymongo.errors import PyMongoError

from mesh.backoff import pause_s
from mesh.cursor import Cursor, CursorLost
from mesh.errors import MeshError
from mesh.handling import Handling
from mesh.holding import Holding, MarkMoved
from mesh.letterbox import Letterbox
from mesh.marks import LineState, Start
from mesh.parking import Parking
from mesh.source import Delivery, Source, delivery_of

if TYPE_CHECKING:
    from mesh.container import MeshContainer

_logger = logging.getLogger(__name__)

_RUN_CAP = 128
"""Events whose effects share a run."""
_PERSIST_AFTER_S = 1.0
_LOOK_EVERY_S = 0.5
"""How often a reader without messages looks at its letters and whether the partition is still its own."""


class Reader:
    """Reads one partition of one source for one subscription."""

    def __init__(self, container: MeshContainer, handling: Handling, source: Source, partition: int, start: Start):
        self._container = container
        self._holding = Holding(container, handling, source, partition, start)
        self._parking = Parking(self._holding, self.lose)
        self._letterbox = Letterbox(self._holding)
        self._duty = f"{handling.subscription}|{source.stream}|{partition}"
        self._cursor: Cursor | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._expected: dict[str, int] = {}
        self._dirty_since: float | None = None
        self._behind_since: datetime | None = None

    # --- lifecycle ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins reading whenever this process holds the partition."""
        self._task = asyncio.create_task(self._run(), name=f"reader-{self._duty}")

    async def stop(self) -> None:
        """Finishes the events being handled, then ends."""
        self._stopping.set()
        self.lose("stopping")
        if self._task is not None:
            await self._task

    def lose(self, reason: str) -> None:
        """Makes the reader begin anew behind its mark."""
        if self._cursor is not None:
            self._cursor.lose(reason)

    def look_at_letters(self) -> None:
        """Tells that an operator asked something of a letter."""
        self._letterbox.look_now()

    def expect(self, line: str, sequence: int) -> None:
        """Tells that the log behind the stream has given this sequence on a line of this partition.

        What the stream does not bring of it is read from the log; a hole at the end of a line shows in no other way.
        """
        self._expected[line] = sequence

    @property
    def lines(self) -> list[LineState]:
        """Where the subscription stands on each line it has met."""
        return list(self._holding.mark.lines.values())

    def age_s(self) -> float:
        """Seconds since the reader last was level with the stream; 0 while it is."""
        return 0.0 if self._behind_since is None else (datetime.now(UTC) - self._behind_since).total_seconds()

    async def _run(self) -> None:
        tries = 0
        while not self._stopping.is_set():
            if not self._container.members.holds(self._duty):
                await self._pause(0.2)
                continue
            try:
                await self._hold()
                tries = 0
            except NotFoundError:
                tries = min(tries + 1, 4)  # its stream is not declared yet
            except (CursorLost, MarkMoved) as lost:
                if not self._stopping.is_set():
                    _logger.info("%s begins anew: %s", self._duty, lost)
                tries = 1
            except (NatsError, PyMongoError, MeshError, OSError, TimeoutError) as error:
                tries = min(tries + 1, 6)
                _logger.warning("%s waits: %s", self._duty, type(error).__name__)
            except Exception:
                tries = min(tries + 1, 6)
                _logger.exception("%s failed and begins anew", self._duty)
            await self._pause(pause_s(tries))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _hold(self) -> None:
        """Reads the mark, then follows the stream from there until something breaks or others take over."""
        holding = self._holding
        await holding.load()
        await self._announce()
        container = self._container
        subject = holding.source.filter(holding.partition)
        start = holding.mark.position + 1
        account = container.account_of(holding.source.owner)
        async with Cursor(account, stream=holding.source.stream, subject=subject, start=start) as self._cursor:
            try:
                await self._follow(self._cursor)
            finally:
                self._cursor = None
                await self._parking.clear()

    async def _announce(self) -> None:
        """Tells the log behind the stream how far this subscription is, in case it was restored from an older copy."""
        mark = self._holding.mark
        if mark.lines:
            sequences = {line: state.sequence for line, state in mark.lines.items()}
            with contextlib.suppress(MeshError):
                await self._holding.source.log.announce(mark.position, sequences)

    async def _follow(self, cursor: Cursor) -> None:
        while not self._stopping.is_set() and self._container.members.holds(self._duty):
            if messages := await cursor.next(_LOOK_EVERY_S):
                deliveries = [delivery_of(msg) for msg in messages]
                self._behind_since = datetime.now(UTC) if deliveries[-1].pending else None
                await self._live(deliveries)
            self._park_expected()
            await self._persist_when_idle()
            await self._letterbox.act()

    def _park_expected(self) -> None:
        """Between two batches, so that the live flow is not handling the line at the same time."""
        while self._expected:
            line, sequence = self._expected.popitem()
            state = self._holding.mark.line(line)
            if state.sequence < sequence:
                self._parking.park(state, sequence)

    # --- the live flow -----------------------------------------------------------------------------------

    async def _live(self, deliveries: list[Delivery]) -> None:
        """Handles what arrived; what cannot be handled now is parked."""
        position = deliveries[-1].position
        ready = self._ready(deliveries)
        cap, conflicts = _RUN_CAP, 0
        while ready:
            run = ready[:cap]
            batch = await self._holding.handle(run, position if len(run) == len(ready) else None)
            if batch is None:
                cap, conflicts = max(1, cap // 8), conflicts + 1  # smaller runs collide less
                await self._pause(pause_s(conflicts - 2))
                continue
            ready = ready[batch.handled :]
            if batch.failed is not None:
                await self._set_aside(batch.failed, batch.error)
                ready = self._unparked(ready)
        self._holding.live_position = max(self._holding.live_position, position)
        if self._dirty_since is None:
            self._dirty_since = self._container.host.loop.time()

    def _ready(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Leaves out what the mark covers and what lies on parked lines; a hole parks its line."""
        ready = []
        reached: dict[str, int] = {}
        accepted = [delivery for delivery in deliveries if self._holding.source.accepts(delivery)]
        for delivery in self._unparked(accepted):
            if delivery.sequence:
                state = self._holding.mark.line(delivery.line)
                sequence = reached.get(delivery.line, state.sequence)
                if delivery.sequence <= sequence:
                    continue
                if delivery.sequence > sequence + 1 and delivery.line not in reached:
                    self._parking.park(state, delivery.sequence)
                    continue
                # A hole behind events that are ready shows again once those are handled.
                reached[delivery.line] = delivery.sequence
            ready.append(delivery)
        return self._unparked(ready)

    def _unparked(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Leaves out deliveries of parked lines, noting how far the live flow has shown them."""
        left = []
        for delivery in deliveries:
            state = self._holding.mark.line(delivery.line) if delivery.sequence else None
            if state is not None and state.parked:
                state.seen = max(state.seen, delivery.sequence)
            else:
                left.append(delivery)
        return left

    async def _set_aside(self, delivery: Delivery, error: MeshError | None) -> None:
        """A dead letter when it has failed often enough, else the line is parked for a retry or a refill."""
        state = self._holding.mark.line(delivery.line)
        if error is None or not await self._holding.buried(state, delivery, error):
            self._parking.park(state, delivery.sequence)

    async def _persist_when_idle(self) -> None:
        """Writes how far the mark has moved over events of other types, once there is time."""
        if self._dirty_since is None or self._container.host.loop.time() - self._dirty_since < _PERSIST_AFTER_S:
            return
        self._dirty_since = None
        if self._holding.safe_position() > self._holding.mark.position:
            await self._holding.commit([], {})
