"""Fills a database as if the service had been at work for long: what a measurement finds already there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from bench.contract import NOTE, Changed
from mesh.events import new_event, to_headers

_CHUNK = 5000

Document = dict[str, Any]


def fill_log(database: Database[Document], first: int, count: int, at: datetime) -> None:
    """Appends events to the log of the service `bench`, and counts them as its commits would."""
    lines: dict[str, int] = dict(_numbers(database).get("lines", {}))

    def entry(position: int) -> Document:
        event = new_event(Changed(id=f"old-{position}", amount=1, note=NOTE), source="/da-nang/bench", time=at)
        lines[event.line] = lines.get(event.line, 0) + 1
        number = str(lines[event.line])
        numbers = dict.fromkeys(("ce-sequence", "ce-originsequence", "ce-keyrevision"), number)
        return {
            "_id": position,
            "line": event.line,
            "sequence": lines[event.line],
            "subject": f"events.da-nang.bench.change.{event.partition}",
            "type": "Changed",
            "headers": to_headers(event) | numbers | {"ce-loggedtime": at.isoformat(timespec="milliseconds")},
            "data": event.data,
            "at": at,
        }

    _insert(database, "log", range(first, first + count), entry)
    position = first + count - 1
    database["progress"].update_one(
        {"_id": "counter"},
        {"$set": {"logs.events": {"position": position, "lines": lines}}, "$max": {"commit": position}},
        upsert=True,
    )


def fill_service(mongodb: str, count: int) -> None:
    """Changes, request records, and log entries long published and let go by the stream; their consequences too."""
    at = datetime.now(UTC) - timedelta(days=8)
    kept = datetime.now(UTC) + timedelta(days=22)
    with MongoClient[Document](mongodb) as mongo:
        bench, consequence = mongo["da_nang_bench"], mongo["da_nang_consequence"]
        fill_log(bench, 1, count, at)
        bench["log"].update_many({}, {"$set": {"expire_at": kept}})
        _begin_behind(bench, consequence)
        _insert(bench, "changes", range(1, count + 1), _recorded)
        _insert(consequence, "consequences", range(1, count + 1), _recorded)
        _insert(bench, "requests", range(1, count + 1), lambda n: _request(n, datetime.now(UTC)))
        _insert(consequence, "effects", range(1, count + 1), lambda n: {"subscription": "old", "sequence": n, "at": at})


def _begin_behind(bench: Database[Document], consequence: Database[Document]) -> None:
    """Declares the subscription as of now: what was there before has had its effect."""
    numbers, subscription, stream = _numbers(bench), "consequence.change.local", "EVENTS_DA_NANG_BENCH"
    consequence["subscriptions"].insert_one(
        {
            "_id": f"{subscription}|{stream}",
            "subscription": subscription,
            "stream": stream,
            "position": numbers["position"],
            "sequences": numbers["lines"],
            "types": ["bench.v1.Changed"],
        }
    )


def _recorded(number: int) -> Document:
    return {"_id": f"old-{number}", "amount": 1, "note": NOTE, "_rev": number}


def _request(number: int, at: datetime) -> Document:
    id = f"da-nang/bench|bench.v1.BenchService/Change|old-{number}"
    return {"_id": id, "digest": b"0" * 32, "answer": b"0" * 16, "at": at, "_rev": number}


def _numbers(database: Database[Document]) -> Document:
    counter = database["progress"].find_one({"_id": "counter"}) or {}
    numbers: Document = counter.get("logs", {}).get("events", {})
    return numbers


def _insert(database: Database[Document], name: str, numbers: range, make: Callable[[int], Document]) -> None:
    for start in range(numbers.start, numbers.stop, _CHUNK):
        chunk = range(start, min(start + _CHUNK, numbers.stop))
        database[name].insert_many([make(number) for number in chunk], ordered=False)
