"""Parking: a line whose next event is being retried or is missing is read apart, so it holds back nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js.errors import NotFoundError
from pymongo.errors import PyMongoError

from mesh.backoff import pause_s
from mesh.ending import end
from mesh.errors import MeshError
from mesh.holding import Holding, MarkMoved
from mesh.marks import LineState
from mesh.source import Delivery, delivery_of
from mesh.stretch import stretch

_logger = logging.getLogger(__name__)

_CAP = 128
"""Events of a parked line handled together."""


class Parking:
    """The parked lines of one holding."""

    def __init__(self, holding: Holding, lost: Callable[[str], None]) -> None:
        self._holding = holding
        self._lost = lost
        """Called when another process has advanced the mark."""

    def park(self, state: LineState, seen: int) -> None:
        """Parks a line of which the live flow has shown sequence ``seen``; does nothing more for a parked one."""
        state.seen = max(state.seen, seen)
        if not state.parked:
            state.parked = True
            state.task = asyncio.create_task(self._catch_up(state), name=f"parked-{state.line}")

    async def clear(self) -> None:
        """Stops reading parked lines; whoever holds the partition next finds them behind their marks."""
        await end(state.task for state in self._holding.mark.lines.values())

    async def _catch_up(self, state: LineState) -> None:
        """Reads the line from its mark on, until it is level with what the live flow has shown."""
        while True:
            try:
                await asyncio.sleep(pause_s(max(state.waits, state.attempts)))
                if state.sequence >= state.seen:
                    state.parked, state.task = False, None
                    return
                await self._step(state)
            except MarkMoved as moved:
                self._lost(str(moved))
                return
            except (NatsError, PyMongoError, MeshError, OSError, TimeoutError) as error:
                state.waits += 1
                _logger.info("parked line %s waits: %s", state.line, type(error).__name__)
            except Exception:
                state.waits += 1
                _logger.exception("parked line %s failed", state.line)

    async def _step(self, state: LineState) -> None:
        cap = 1 if state.waits or state.attempts else _CAP
        deliveries = await self._read_stream(state) or await self._read_log(state)
        batch = await self._holding.handle(deliveries[:cap]) if deliveries else None
        if batch is None:
            state.waits += 1
        elif batch.failed is not None and batch.error is not None:
            if batch.error.transient:
                state.waits += 1
            else:
                await self._holding.buried(state, batch.failed, batch.error)

    async def _read_stream(self, state: LineState) -> list[Delivery]:
        """The next events of the line, as far as the stream holds them without a hole."""
        found: list[Delivery] = []
        sequence = state.sequence
        if sequence >= state.seen:
            return found
        for delivery in await self._held(state):
            if not self._holding.source.accepts(delivery) or delivery.sequence <= sequence:
                continue
            if delivery.sequence > sequence + 1 or sequence >= state.seen:
                break
            found.append(delivery)
            sequence = delivery.sequence
        return found

    async def _held(self, state: LineState) -> list[Delivery]:
        """What the stream holds of the line behind its mark, of any sequence."""
        source, container = self._holding.source, self._holding.container
        try:
            messages = await stretch(
                container.account_of(source.owner),
                stream=source.stream,
                subject=source.subject_of(state.line),
                start=state.position + 1,
                limit=_CAP,
            )
        except (NotFoundError, NoRespondersError):  # no such stream
            return []
        return [delivery_of(message) for message in messages]

    async def _read_log(self, state: LineState) -> list[Delivery]:
        """The next events of the line from the log behind the stream; a hole below its floor is given up."""
        refilled = await self._holding.source.log.refill(state.line, state.sequence, _CAP)
        contiguous: list[Delivery] = []
        for delivery in refilled.deliveries:
            if delivery.sequence != state.sequence + 1 + len(contiguous):
                break
            contiguous.append(delivery)
        if not contiguous:
            head = min(refilled.head, state.seen)
            last = refilled.deliveries[0].sequence - 1 if refilled.deliveries else head
            if last > state.sequence:
                await self._holding.give_up_range(state, last)
        return contiguous
