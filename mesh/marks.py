"""Marks: per subscription and line, the sequence whose effect is committed.

The lines of one subscription, stream and partition share a document. It advances by compare-and-set in the
transaction that commits the effects; the mark is the truth, whatever the broker delivers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from pymongo.database import Database

from mesh.counter import PROGRESS
from mesh.unit import ABSENT, REVISION, Address, Raw, Unit

MARKS = PROGRESS
"""They lie beside the counter, which every commit advances: one command writes both."""
SUBSCRIPTIONS = "subscriptions"


@dataclass(slots=True)
class LineState:
    """Where a subscription stands on one line."""

    line: str
    sequence: int
    """Highest sequence whose effect is committed."""
    position: int
    """Stream sequence of that event."""
    start: int = 0
    """Sequence the subscription began after."""
    parked: bool = False
    """Whether the line is read apart, because its next event is being retried or is missing."""
    seen: int = 0
    """Highest sequence the live flow has shown while the line was parked."""
    attempts: int = 0
    """Deterministic failures of the next event."""
    waits: int = 0
    """Retries in a row, for the backoff."""
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Start:
    """Where a subscription began on one stream, recorded when it was declared."""

    position: int
    sequences: dict[str, int]


@dataclass(slots=True)
class Mark:
    """The marks of one subscription, stream and partition, as last committed by this process."""

    id: str
    subscription: str
    stream: str
    partition: int
    start: Start
    revision: int = ABSENT
    position: int = 0
    """Everything up to this stream sequence is handled."""
    lines: dict[str, LineState] = field(default_factory=dict)

    @classmethod
    def load(cls, database: Database[Raw], subscription: str, stream: str, partition: int, start: Start) -> Mark:
        """Reads the mark, or begins one where the subscription was declared."""
        id = f"{subscription}|{stream}|{partition}"
        mark = cls(id, subscription, stream, partition, start, position=start.position)
        raw = database[MARKS].find_one({"_id": id})
        if raw is not None:
            mark.revision = raw.get(REVISION, ABSENT)
            mark.position = raw["position"]
            for line, at in raw["lines"].items():
                mark.lines[line] = LineState(line, at["sequence"], at["position"], start=at["start"])
        return mark

    @property
    def address(self) -> Address:
        return MARKS, self.id

    def line(self, name: str) -> LineState:
        """The state of a line; one met for the first time begins where the subscription was declared."""
        if name not in self.lines:
            begins = self.start.sequences.get(name, 0)
            self.lines[name] = LineState(name, begins, self.start.position, start=begins)
        return self.lines[name]

    def advance(self, advances: dict[str, tuple[int, int]], position: int) -> Unit:
        """A unit that moves lines to (sequence, position) and the whole to ``position``."""
        unit = Unit()
        unit.saw(self.address, self.revision)
        lines = {name: (state.sequence, state.position) for name, state in self.lines.items()} | advances
        unit.staged[self.address] = {
            "_id": self.id,
            "subscription": self.subscription,
            "stream": self.stream,
            "partition": self.partition,
            "position": position,
            "lines": {
                name: {"sequence": sequence, "position": at, "start": self.line(name).start}
                for name, (sequence, at) in lines.items()
            },
        }
        return unit

    def advanced(self, advances: dict[str, tuple[int, int]], position: int, revision: int) -> None:
        """Takes over what `advance` staged, once it is committed."""
        self.revision = revision
        self.position = position
        for name, (sequence, at) in advances.items():
            state = self.line(name)
            if sequence > state.sequence:
                state.attempts = state.waits = 0
            state.sequence, state.position = sequence, max(at, state.position)


def load_start(database: Database[Raw], subscription: str, stream: str) -> Start | None:
    """Where a subscription began, if it was declared before."""
    raw = database[SUBSCRIPTIONS].find_one({"_id": f"{subscription}|{stream}"})
    return None if raw is None else Start(raw["position"], dict(raw["sequences"]))


def record_start(database: Database[Raw], subscription: str, stream: str, start: Start, types: list[str]) -> Start:
    """Records where a subscription begins; of two processes that declare it the first one counts."""
    document: Raw = {"position": start.position, "sequences": start.sequences, "types": types}
    database[SUBSCRIPTIONS].update_one(
        {"_id": f"{subscription}|{stream}"},
        {"$setOnInsert": document, "$set": {"subscription": subscription, "stream": stream}},
        upsert=True,
    )
    recorded = load_start(database, subscription, stream)
    return recorded or start


def forget(database: Database[Raw], subscription: str) -> None:
    """Removes a subscription with its marks; one declared again under its name begins anew."""
    prefix: Any = {"$gte": f"{subscription}|", "$lt": f"{subscription}}}"}
    database[SUBSCRIPTIONS].delete_many({"_id": prefix})
    database[MARKS].delete_many({"_id": prefix})
