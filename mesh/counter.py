"""The counter document: it numbers a service's commits and events, and so serialises its commits.

The process that committed last knows what the document holds: it says so in the update that advances it, and only
when that meets nothing, because another process has committed since, the document is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.database import Database

from mesh.log import LOGGED_AT, Log
from mesh.unit import Outgoing, Raw
from mesh.writes import Command

PROGRESS = "progress"
"""Collection of what commits move on: the counter and the marks, so that one command advances both."""
COUNTER = "counter"
"""Id of the counter document in it."""

_BATCHES_REMEMBERED = 64
_EARLIER = ("marks", "counter")
"""Collections that held them before; the counter last, since it tells that all is here."""


@dataclass(slots=True)
class Heads:
    """Highest numbers given in one log."""

    position: int = 0
    lines: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Counter:
    """What the counter document holds."""

    commit: int
    logs: dict[str, Heads]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Counter:
        logs = {
            name: Heads(int(log.get("position", 0)), {line: int(n) for line, n in log.get("lines", {}).items()})
            for name, log in raw.get("logs", {}).items()
        }
        return cls(int(raw["commit"]), logs)

    def draft(self) -> Draft:
        return Draft(self)

    def head(self, log: str) -> Heads:
        return self.logs.get(log) or Heads()


class Draft:
    """Numbers of one commit, as long as it is not known whether it succeeds."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.number = counter.commit + 1
        self._positions: dict[str, int] = {}
        self._sequences: dict[tuple[str, str], int] = {}

    def entries(self, outgoing: Iterable[Outgoing], at: datetime) -> dict[str, list[Raw]]:
        """Numbers events in their order; returns the entries of each log."""
        logged: dict[str, list[Raw]] = defaultdict(list)
        for event in outgoing:
            log, line = event.log, event.line
            heads = self.counter.head(log)
            position = self._positions[log] = self._positions.get(log, heads.position) + 1
            sequence = self._sequences[log, line] = self._sequences.get((log, line), heads.lines.get(line, 0)) + 1
            logged[log].append(
                {
                    "_id": position,
                    "line": line,
                    "sequence": sequence,
                    "subject": event.subject,
                    "type": event.type,
                    "headers": _numbered(event.headers, sequence, at),
                    "data": event.data,
                    "at": at,
                }
            )
        return logged

    def command(self, batch_id: str, marks: Sequence[Raw] = ()) -> Command:
        """Advances the document, if it is as it is known here, and in the same go updates marks."""
        heads: Raw = {f"logs.{log}.position": position for log, position in self._positions.items()}
        heads |= {f"logs.{log}.lines.{line}": sequence for (log, line), sequence in self._sequences.items()}
        update = {
            "$set": {"commit": self.number, **heads},
            "$push": {"batches": {"$each": [batch_id], "$slice": -_BATCHES_REMEMBERED}},
        }
        query = {"_id": COUNTER, "commit": self.counter.commit}
        return Command({"update": PROGRESS, "updates": [{"q": query, "u": update}, *marks]}, meets=1 + len(marks))

    def keep(self) -> None:
        """The commit has succeeded: the next one continues from here."""
        self.counter.commit = self.number
        for log, position in self._positions.items():
            self.counter.logs.setdefault(log, Heads()).position = position
        for (log, line), sequence in self._sequences.items():
            self.counter.logs[log].lines[line] = sequence


def begin(database: Database[Raw]) -> None:
    """Makes the counter of a new service; takes over counter and marks from where they lay before."""
    if database[PROGRESS].find_one({"_id": COUNTER}, {"_id": 1}) is None:
        for earlier in _EARLIER:
            database[earlier].aggregate([{"$merge": {"into": PROGRESS, "whenMatched": "keepExisting"}}])
    database[PROGRESS].update_one({"_id": COUNTER}, {"$setOnInsert": {"commit": 0}}, upsert=True)


def found(reply: Raw) -> Counter | None:
    """The counter in the reply to `look`."""
    batch = reply["cursor"]["firstBatch"]
    return Counter.of(batch[0]) if batch else None


def look() -> Raw:
    """Command that reads the counter."""
    return {"find": PROGRESS, "filter": {"_id": COUNTER}, "projection": {"batches": 0}, "singleBatch": True}


def read(database: Database[Raw], session: ClientSession | None = None) -> Counter:
    """Returns the counters of a service; all 0 where it has none yet."""
    return Counter.of(database[PROGRESS].find_one({"_id": COUNTER}, {"batches": 0}, session=session) or {"commit": 0})


def heads(database: Database[Raw], log: Log) -> tuple[int, dict[str, int]]:
    """Returns the highest position of a log and the highest sequence of each of its lines, read at one moment."""
    found = read(database).head(log.name)
    return found.position, found.lines


def _numbered(headers: dict[str, str], sequence: int, at: datetime) -> dict[str, str]:
    """Adds what only the commit knows. An event that comes from another log keeps its number at birth."""
    number = str(sequence)
    numbered = {**headers, "ce-sequence": number, LOGGED_AT: at.isoformat(timespec="milliseconds")[:-6] + "Z"}
    if headers.get("ce-originsequence", "0") == "0":
        numbered["ce-originsequence"] = numbered["ce-keyrevision"] = number
    return numbered
