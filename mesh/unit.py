"""The unit of work: what one handler run has seen, and what it wants committed.

Everything a service writes goes through a unit: documents, events, request records, marks, dead letters.
Each thing read or found absent leaves a *view*; the commit checks every view, so whatever decided the
handler's outcome still holds when the outcome becomes durable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Raw = dict[str, Any]
Address = tuple[str, Any]
"""Collection name and ``_id``."""

REVISION = "_rev"
"""Field with the number of the commit that last wrote a document; never used twice, so there is no ABA."""

ABSENT = 0
"""Revision of a document that does not exist."""

EVENTS_LOG = "events"
"""Name of the log every emitting service has."""


@dataclass(slots=True)
class Outgoing:
    """One event on its way into a log. Position and sequence are given by the commit."""

    log: str
    line: str
    subject: str
    headers: dict[str, str]
    data: bytes
    type: str
    """Short name of the event type, for counting effects."""


@dataclass(slots=True)
class Unit:
    """One handler run."""

    beneath: Mapping[Address, Raw | None] = field(default_factory=dict)
    """What earlier units of the same run staged: read instead of the database, without a view."""
    views: dict[Address, int] = field(default_factory=dict)
    staged: dict[Address, Raw | None] = field(default_factory=dict)
    """Documents to write; ``None`` deletes."""
    outgoing: list[Outgoing] = field(default_factory=list)
    inserts: list[tuple[str, Raw]] = field(default_factory=list)
    """Records that only accumulate: effects. They have no view and cannot conflict."""

    recalled: bool = False
    """Whether a document was recalled instead of read (ADR-0015)."""

    @property
    def to_commit(self) -> bool:
        """Whether it must be committed: it writes something, or only the commit tells whether what it recalled held."""
        return bool(self.staged or self.outgoing or self.inserts or self.recalled)

    def saw(self, address: Address, revision: int) -> None:
        """Records the first view of a document; what an earlier unit staged needs none."""
        if address not in self.beneath:
            self.views.setdefault(address, revision)

    def stage(self, address: Address, raw: Raw | None) -> None:
        """Stages a write. A document never read is expected to be absent."""
        self.saw(address, ABSENT)
        self.staged[address] = raw

    def size(self) -> int:
        """Roughly how many bytes of events it carries; documents are bounded by MongoDB itself."""
        return sum(len(event.data) + 600 for event in self.outgoing) + 400 * (len(self.staged) + len(self.inserts))


@dataclass(slots=True)
class Run:
    """Consecutive units that stand or fall together; each reads through what those before it staged."""

    units: list[Unit]
    deadline: float | None = None
    """Loop-independent monotonic time after which the submitter no longer waits; ``None`` waits for ever."""

    def views(self) -> dict[Address, int]:
        merged: dict[Address, int] = {}
        for unit in self.units:
            for address, revision in unit.views.items():
                merged.setdefault(address, revision)
        return merged

    def staged(self) -> dict[Address, Raw | None]:
        merged: dict[Address, Raw | None] = {}
        for unit in self.units:
            merged.update(unit.staged)
        return merged
