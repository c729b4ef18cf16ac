"""A service's log: the events it has committed, in order of position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import ASCENDING
from pymongo.database import Database

from mesh.events import event_subject, events_stream
from mesh.unit import EVENTS_LOG, Raw

VOID = "VOID"
"""Type of an entry that stands for a number which a restored database no longer knows."""

LOGGED_AT = "ce-loggedtime"
"""When the log that carries the event committed it; judges an agreement's validity and measures latency."""


@dataclass(frozen=True, slots=True)
class Log:
    """Where one log is kept and which stream it is copied to."""

    name: str
    """`events`, or `shared-<recipient>`."""
    stream: str
    subjects: tuple[str, ...]
    """Subjects of the stream; may end in wildcards."""
    void_subject: str
    """Subject on which numbers without an event are published, so that stream sequence stays position."""

    @property
    def collection(self) -> str:
        return "log" if self.name == EVENTS_LOG else f"log.{self.name}"


def events_log(service_cls: type[Any], locality: str) -> Log:
    """The log of the events a service emits in a locality.

    Its subjects are the service's own, or what its class says in `log_subjects` where events were born elsewhere.
    """
    service = service_cls.name
    subjects = [f"events.{locality}.{service}.>"]
    if hasattr(service_cls, "log_subjects"):
        subjects = service_cls.log_subjects(locality)
    return Log(
        name=EVENTS_LOG,
        stream=events_stream(locality, service),
        subjects=tuple(subjects),
        void_subject=event_subject(subjects[0].split(".")[1], service, "_void", 0),
    )


def void_entry(log: Log, position: int, line: str, sequence: int, at: datetime) -> Raw:
    """An entry for a number that a restored database no longer knows."""
    return {
        "_id": position,
        "line": line,
        "sequence": sequence,
        "subject": log.void_subject,
        "type": VOID,
        "headers": {},
        "data": b"",
        "at": at,
    }


def prepare(database: Database[Raw], log: Log) -> None:
    """Creates the indexes a log needs: by line for refills, by expiry for its end."""
    collection = database[log.collection]
    collection.create_index([("line", ASCENDING), ("sequence", ASCENDING)])
    collection.create_index("expire_at", expireAfterSeconds=0)


def read(
    database: Database[Raw],
    log: Log,
    *,
    after_position: int = 0,
    line: str | None = None,
    after_sequence: int = 0,
    limit: int = 1000,
) -> list[Raw]:
    """Returns entries in order of position, of one line or of all."""
    query: dict[str, Any] = {"_id": {"$gt": after_position}}
    order = "_id"
    if line is not None:
        query = {"line": line, "sequence": {"$gt": after_sequence}}
        order = "sequence"
    return list(database[log.collection].find(query).sort(order, ASCENDING).limit(limit))


def read_all(database: Database[Raw], log: Log, *, after_position: int = 0, page: int = 1000) -> Iterator[list[Raw]]:
    """Returns the whole log after a position, page by page."""
    while entries := read(database, log, after_position=after_position, limit=page):
        yield entries
        after_position = entries[-1]["_id"]


def floor(database: Database[Raw], log: Log, *, since: datetime | None = None) -> int | None:
    """Returns the lowest position in the log (committed at or after ``since``), or ``None`` when there is none."""
    query = {} if since is None else {"at": {"$gte": since}}
    entry = database[log.collection].find_one(query, {"_id": 1}, sort=[("_id", ASCENDING)])
    return None if entry is None else int(entry["_id"])


def floor_sequences(database: Database[Raw], log: Log) -> dict[str, int]:
    """Returns, by line, the sequence before the lowest one still in the log."""
    groups = database[log.collection].aggregate([{"$group": {"_id": "$line", "lowest": {"$min": "$sequence"}}}])
    return {group["_id"]: int(group["lowest"]) - 1 for group in groups}


def line_floor(database: Database[Raw], log: Log, line: str) -> int | None:
    """Returns the lowest sequence of a line still in the log, or ``None``."""
    entry = database[log.collection].find_one({"line": line}, {"sequence": 1}, sort=[("sequence", ASCENDING)])
    return None if entry is None else int(entry["sequence"])


def let_expire(database: Database[Raw], log: Log, *, until_position: int, keep: timedelta) -> int:
    """Gives published entries up to a position their end; returns how many it touched."""
    expire_at = datetime.now(UTC) + keep
    # By the index of `expire_at`, in which entries without one are few; by position it would walk the whole log.
    query = {"_id": {"$lte": until_position}, "expire_at": None}
    update = {"$set": {"expire_at": expire_at}}
    return int(database[log.collection].update_many(query, update, hint="expire_at_1").modified_count)
