"""Share logs: what one recipient may know, in a log and a stream of its own.

A share line is numbered from 1 per agreement, sector, topic and partition, so the recipient sees every hole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.database import Database

from lienthong.mesh.v1 import LogEntry
from mesh import log as logs
from mesh.counter import heads
from mesh.errors import FailedPrecondition
from mesh.log import VOID, Log
from mesh.sharing import share_stream, shared_filter
from mesh.unit import Raw

MOST_RAISED = 100_000
"""Numbers a recipient may claim to have seen beyond those known here: each costs a VOID entry in the log."""


def share_log(provider: str, recipient: str) -> Log:
    """Returns the log of what a recipient may know."""
    return Log(
        name=f"shared-{recipient}",
        stream=share_stream(provider, recipient),
        subjects=(shared_filter(provider, recipient),),
        # No partition: no subscription on the recipient's stream meets it.
        void_subject=f"shared.{provider}.{recipient}._void._void._void._void",
    )


def lines_of(agreement: str) -> dict[str, str]:
    """Returns the query for the names of an agreement's lines: they begin with its id and a slash."""
    return {"$gte": f"{agreement}/", "$lt": f"{agreement}0"}  # "0" comes next after "/"


def agreement_of(line: str) -> str:
    """Returns the agreement whose line it is."""
    return line.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries of one line."""

    entries: list[LogEntry]
    floor: int
    """Lowest sequence still in the log; 0 when none is."""
    head: int
    """Highest sequence ever given."""


class ShareLog:
    """A share log as handlers see it. Blocking."""

    def __init__(self, container: Any, recipient: str) -> None:
        self._container = container
        self._database: Database[Raw] = container.database
        self._log = share_log(container.locality, recipient)

    def page(self, line: str, after_sequence: int, limit: int) -> Page:
        """Reads entries of one line in order of sequence."""
        _, sequences = heads(self._database, self._log)
        entries = logs.read(self._database, self._log, line=line, after_sequence=after_sequence, limit=limit)
        floor = logs.line_floor(self._database, self._log, line)
        return Page([_message(entry) for entry in entries if entry["type"] != VOID], floor or 0, sequences.get(line, 0))

    def heads(self, agreement: str) -> dict[str, int]:
        """Returns the highest sequence ever given on each line of an agreement."""
        _, sequences = heads(self._database, self._log)
        return {line: head for line, head in sequences.items() if agreement_of(line) == agreement}

    def raise_heads(self, sequences: Mapping[str, int]) -> None:
        """Raises counters above numbers the recipient has seen, so that a log restored from an older copy repeats none.

        Raises FailedPrecondition where they are too far ahead to be believed.
        """
        _, known = heads(self._database, self._log)
        higher = {line: sequence for line, sequence in sequences.items() if sequence > known.get(line, 0)}
        if sum(sequence - known.get(line, 0) for line, sequence in higher.items()) > MOST_RAISED:
            raise FailedPrecondition(f"the receipts are more than {MOST_RAISED} events ahead of the share log")
        if higher:
            self._container.committer.raise_heads(self._log, 0, higher)


def void(database: Database[Raw], log: Log, agreement: str) -> None:
    """Empties the entries of an agreement. Their positions stay, so the stream's sequence stays the log's position."""
    emptied = {"type": VOID, "subject": log.void_subject, "headers": {}, "data": b""}
    database[log.collection].update_many({"line": lines_of(agreement), "type": {"$ne": VOID}}, {"$set": emptied})


def receipted_position(database: Database[Raw], log: Log, receipts: Mapping[str, int]) -> int:
    """Returns the highest position up to which the recipient has committed everything; `receipts` is by line."""
    position, sequences = heads(database, log)
    owed = [
        entry["_id"]
        for line, head in sequences.items()
        if receipts.get(line, 0) < head and (entry := _first_owed(database, log, line, receipts.get(line, 0)))
    ]
    return min(owed, default=position + 1) - 1


def _first_owed(database: Database[Raw], log: Log, line: str, receipt: int) -> Raw | None:
    query = {"line": line, "sequence": {"$gt": receipt}, "type": {"$ne": VOID}}
    return database[log.collection].find_one(query, {"_id": 1}, sort=[("sequence", 1)])


def _message(entry: Raw) -> LogEntry:
    return LogEntry(
        position=entry["_id"],
        line=entry["line"],
        sequence=entry["sequence"],
        subject=entry["subject"],
        headers=entry["headers"],
        data=bytes(entry["data"]),
        committed_at=entry["at"],
    )
