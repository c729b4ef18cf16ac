"""Dead letters: events a subscription could not handle, and those of the same key that wait behind them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pymongo import ASCENDING
from pymongo.database import Database

from mesh.errors import FailedPrecondition, MeshError, NotFound
from mesh.unit import ABSENT, REVISION, Address, Raw, Unit

DEAD_LETTERS = "dead_letters"

DEAD = "DEAD"
WAITING = "WAITING"
RETRY = "RETRY"
DROP = "DROP"

Blocked = tuple[str, str]
"""Line and key."""


def letter_id(subscription: str, line: str, sequence: int) -> str:
    """Id of the letter of one event."""
    return f"{subscription}|{line}|{sequence}"


def stage_letter(
    unit: Unit,
    *,
    subscription: str,
    stream: str,
    partition: int,
    line: str,
    sequence: int,
    headers: dict[str, str],
    data: bytes,
    state: str,
    at: datetime,
    error: str = "",
    attempts: int = 0,
    last_sequence: int | None = None,
) -> None:
    """Stages a letter: the event as it arrived, and why it lies here."""
    id = letter_id(subscription, line, sequence)
    unit.stage(
        (DEAD_LETTERS, id),
        {
            "_id": id,
            "subscription": subscription,
            "stream": stream,
            "partition": partition,
            "line": line,
            "sequence": sequence,
            "last_sequence": last_sequence or sequence,
            "key": headers.get("ce-subject", ""),
            "type": headers.get("ce-type", ""),
            "headers": headers,
            "data": data,
            "state": state,
            "error": error,
            "attempts": attempts,
            "at": at,
        },
    )


def blocked_keys(database: Database[Raw], subscription: str, stream: str, partition: int) -> set[Blocked]:
    """Keys whose later events must wait."""
    query = {"subscription": subscription, "stream": stream, "partition": partition, "key": {"$ne": ""}}
    letters = database[DEAD_LETTERS].find(query, {"line": 1, "key": 1})
    return {(letter["line"], letter["key"]) for letter in letters}


def any_letter(database: Database[Raw], subscription: str, stream: str, partition: int) -> bool:
    """Whether a reader has letters, of whatever kind."""
    query = {"subscription": subscription, "stream": stream, "partition": partition}
    return database[DEAD_LETTERS].find_one(query, {"_id": 1}) is not None


def requested(database: Database[Raw], subscription: str, stream: str, partition: int) -> list[Raw]:
    """Letters an operator asked to retry or drop, in order."""
    query = {
        "subscription": subscription,
        "stream": stream,
        "partition": partition,
        "state": {"$in": [RETRY, DROP]},
    }
    return list(database[DEAD_LETTERS].find(query).sort([("line", ASCENDING), ("sequence", ASCENDING)]))


def behind(database: Database[Raw], letter: Raw) -> Raw | None:
    """The first letter that waits behind this one, or ``None``."""
    query = {
        "subscription": letter["subscription"],
        "line": letter["line"],
        "key": letter["key"],
        "sequence": {"$gt": letter["sequence"]},
    }
    return database[DEAD_LETTERS].find_one(query, sort=[("sequence", ASCENDING)])


def address(letter: Raw) -> Address:
    """Where a letter is kept."""
    return DEAD_LETTERS, letter["_id"]


def stage_removal(unit: Unit, letter: Raw) -> None:
    """Stages the letter's removal, to be committed with its effect."""
    unit.saw(address(letter), letter.get(REVISION, ABSENT))
    unit.staged[address(letter)] = None


def stage_failure(unit: Unit, letter: Raw, error: MeshError) -> None:
    """Stages the letter as dead after one more failure."""
    unit.saw(address(letter), letter.get(REVISION, ABSENT))
    again = {**letter, "state": DEAD, "error": describe(error), "attempts": letter["attempts"] + 1}
    unit.staged[address(letter)] = again


def ask(database: Database[Raw], id: str, state: str) -> Raw:
    """Records an operator's wish on a letter and returns it. The holder of its line acts on it.

    Raises `NotFound`, or `FailedPrecondition` for a letter that waits behind another.
    """
    letter = database[DEAD_LETTERS].find_one({"_id": id})
    if letter is None:
        raise NotFound("dead letter", id)
    if letter["state"] == WAITING:
        raise FailedPrecondition("the letter waits behind an earlier one of its key", allowed=(DEAD,))
    if letter["state"] != state:
        # The revision moves, so a holder that is just working on the letter finds its view stale.
        wish: Any = {"$set": {"state": state}, "$inc": {REVISION: 1}}
        database[DEAD_LETTERS].update_one({"_id": id, "state": letter["state"]}, wish)
    return {**letter, "state": state}


def describe(error: MeshError) -> str:
    """What a letter says of its error: the class and the message, which never holds a personal value."""
    cause = f" ({type(error.__cause__).__name__})" if error.__cause__ is not None else ""
    return f"{error.reason}{cause}: {error.message}" if error.message else f"{error.reason}{cause}"
