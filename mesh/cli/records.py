"""What a recount judges: logs, subscriptions, effects and letters as they were fetched."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as a log holds it."""

    position: int
    line: str
    sequence: int
    subject: str
    type: str
    """Full name; empty for a number that stands for nothing (VOID)."""
    id: str
    source: str
    causation_id: str
    at: datetime

    @property
    def origin(self) -> str:
        """Slug of the locality it was born in."""
        return self.source.split("/")[1] if self.source else ""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One log with its entries, from its floor on."""

    locality: str
    service: str
    name: str
    stream: str
    published: int
    """Highest position known to be in the stream, when that was asked."""
    entries: list[Entry]

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.locality} {self.service} log {self.name}"


@dataclass(frozen=True, slots=True)
class Watch:
    """One subscription on one stream: what it reads, from where, and how far it has come."""

    locality: str
    service: str
    subscription: str
    stream: str
    subject: str
    types: frozenset[str]
    """Empty: all."""
    start: dict[str, int]
    marks: dict[str, int]


@dataclass(frozen=True, slots=True)
class EffectRecord:
    """What one handler committed for one event."""

    subscription: str
    line: str
    sequence: int
    causation_id: str
    committed: dict[str, int]
    caused_at: datetime
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, or an event that waits behind one."""

    subscription: str
    line: str
    first: int
    last: int
    error: str
    waiting: bool


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """What one service of one locality tells."""

    locality: str
    service: str
    watches: list[Watch] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    effects: list[EffectRecord] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it."""

    services: list[ServiceRecord]
    logs: list[LogRecord]
