"""Handling: runs a subscription's handler over deliveries, and stages letters for what cannot be handled."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nameko.extensions import Entrypoint

from mesh import letters
from mesh.call import Call
from mesh.effects import stage_effect
from mesh.errors import MeshError, UndecodableEvent
from mesh.events import Event, from_headers
from mesh.marks import Mark
from mesh.source import Delivery, Source
from mesh.store import StagedInRun
from mesh.telemetry import consumer_span
from mesh.unit import Address, Raw, Unit

if TYPE_CHECKING:
    from mesh.container import MeshContainer

ANY_TYPE = "*"

Advances = dict[str, tuple[int, int]]
"""Line → (sequence, stream sequence) its mark moves to."""


@dataclass(frozen=True)
class Handling:
    """What a subscription does with an event."""

    subscription: str
    entrypoints: Mapping[str, Entrypoint]
    """What handles which event type, by full name; under `ANY_TYPE`, what handles all others."""
    arguments: Callable[[Event, Delivery], tuple[Any, ...]]
    """Arguments of the handler. May raise `UndecodableEvent`."""
    start_all: bool = False
    """Whether it begins with all the log holds, or with what comes after it was declared."""

    def wants(self, event_type: str) -> bool:
        """Whether an event of that type is handled; one without a type is looked at, so that it is not lost."""
        return not event_type or event_type in self.entrypoints or ANY_TYPE in self.entrypoints

    @property
    def types(self) -> list[str]:
        """The event types it names."""
        return sorted(self.entrypoints.keys() - {ANY_TYPE})

    def entrypoint(self, event_type: str) -> Entrypoint:
        """What handles events of that type. Raises `UndecodableEvent` for one nobody wants."""
        found = self.entrypoints.get(event_type) or self.entrypoints.get(ANY_TYPE)
        if found is None:
            raise UndecodableEvent("ce-type names no event this subscription handles")
        return found


@dataclass(slots=True)
class Batch:
    """What a run of deliveries came to, before it is committed."""

    units: list[Unit] = field(default_factory=list)
    advances: Advances = field(default_factory=dict)
    handled: int = 0
    """Deliveries done with; the next one failed, or waits for what is staged to be committed."""
    effects: list[Event] = field(default_factory=list)
    context: contextvars.Context | None = None
    """Context of the first handler, in whose trace the commit is shown."""
    failed: Delivery | None = None
    error: MeshError | None = None
    """Why; ``None`` when events before the failed one are missing."""

    @property
    def recalled(self) -> bool:
        """Whether documents were recalled for it instead of read."""
        return any(unit.recalled for unit in self.units)


class Handler:
    """Runs the handler of one reader. All methods block."""

    def __init__(self, container: MeshContainer, handling: Handling, source: Source, partition: int) -> None:
        self._container = container
        self._handling = handling
        self._source = source
        self._partition = partition

    def run(
        self, deliveries: list[Delivery], mark: Mark, blocked: set[letters.Blocked], recalling: bool = False
    ) -> Batch:
        """Handles deliveries in order, each reading through what those before it staged, until one fails.

        ``recalling`` lets handlers use what this process remembers. An event handled always leaves a record of its
        effect to be committed, so whatever was recalled is checked.
        """
        batch = Batch()
        beneath: dict[Address, Raw | None] = {}
        for delivery in deliveries:
            if delivery.sequence:
                reached = batch.advances.get(delivery.line, (mark.line(delivery.line).sequence, 0))[0]
                if delivery.sequence <= reached:
                    batch.handled += 1
                    continue
                if delivery.sequence > reached + 1:
                    batch.failed = delivery
                    break
            try:
                unit = self._unit_of(delivery, blocked, beneath, batch, recalling)
            except StagedInRun:
                break  # what is staged is committed first, then this one runs again
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

    def _unit_of(
        self,
        delivery: Delivery,
        blocked: set[letters.Blocked],
        beneath: dict[Address, Raw | None],
        batch: Batch,
        recalling: bool,
    ) -> Unit | None:
        """The unit of one delivery: its effects, a letter, or nothing for an event of another type."""
        if not delivery.sequence:
            return self.letter(delivery, UndecodableEvent("ce-sequence is missing"), attempts=1)
        if not self._handling.wants(delivery.type):
            return None
        if (delivery.line, delivery.key) in blocked:
            return self.letter_behind(delivery)
        event = from_headers(delivery.headers, delivery.data)
        unit, context = self._run_handler(event, delivery, beneath, recalling)
        batch.effects.append(event)
        batch.context = batch.context or context
        return unit

    def effects_of(self, event: Event, delivery: Delivery, beneath: dict[Address, Raw | None]) -> Unit:
        """Runs the handler for one event; the unit also records what it committed and why."""
        return self._run_handler(event, delivery, beneath, recalling=False)[0]

    def _run_handler(
        self, event: Event, delivery: Delivery, beneath: dict[Address, Raw | None], recalling: bool
    ) -> tuple[Unit, contextvars.Context]:
        entrypoint = self._handling.entrypoint(event.type)
        call = Call(entrypoint, self._handling.arguments(event, delivery), cause=event)
        subject = delivery.subject or self._source.subject_of(delivery.line)
        with consumer_span(event, subscription=self._handling.subscription, subject=subject, line=delivery.line):
            call.context = contextvars.copy_context()
            done = self._container.run_sealed(call, beneath, recalling=recalling)
        stage_effect(
            done.unit,
            subscription=self._handling.subscription,
            line=delivery.line,
            sequence=delivery.sequence,
            causation_id=event.id,
            committed=done.committed,
            caused_at=event.time,
        )
        return done.unit, call.context

    def letter(self, delivery: Delivery, error: MeshError, attempts: int) -> Unit:
        """A unit that lays the event aside for good, with its error."""
        return self._letter(delivery, letters.DEAD, letters.describe(error), attempts)

    def letter_behind(self, delivery: Delivery) -> Unit:
        """A unit that lays the event aside until the letter before it is retried or dropped."""
        return self._letter(delivery, letters.WAITING)

    def letter_of_range(self, line: str, first: int, last: int) -> Unit:
        """A unit that names events which are in neither stream nor log."""
        gap = Delivery(line, first, 0, {}, b"")
        error = f"sequences {first} to {last} are in neither stream nor log"
        return self._letter(gap, letters.DEAD, error, last_sequence=last)

    def _letter(
        self, delivery: Delivery, state: str, error: str = "", attempts: int = 0, last_sequence: int | None = None
    ) -> Unit:
        unit = Unit()
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
            at=self._container.host.time.now(),
            error=error,
            attempts=attempts,
            last_sequence=last_sequence,
        )
        return unit
