"""Writes of a commit: what is staged as MongoDB operations, which check the views of what they write as they go.

A write whose view no longer holds inserts a duplicate or matches nothing. It does not say which unit it was, so the
commit then goes the careful way: it looks first (ADR-0011).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pymongo import DeleteOne, InsertOne, ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from mesh.unit import ABSENT, REVISION, Address, Raw

_DUPLICATE_KEY = 11000

Operation = InsertOne[Raw] | ReplaceOne[Raw] | DeleteOne
_KINDS = (InsertOne, ReplaceOne, DeleteOne)


class ViewChanged(Exception):
    """A document is not as a unit saw it; which one is for the careful way to find out."""


@dataclass(slots=True)
class Writes:
    """Operations on one collection, and how many documents they must meet."""

    operations: list[Operation] = field(default_factory=list)
    replaced: int = 0
    deleted: int = 0

    def run(self, database: Database[Raw], collection: str, session: ClientSession) -> None:
        """Raises `ViewChanged` when a document was not as it had been seen."""
        # In order, so that the first duplicate ends it: after that the transaction is gone, and going on would say only
        # so. Sorted by kind, so that each kind is one command.
        operations = sorted(self.operations, key=_kind)
        try:
            result = database[collection].bulk_write(operations, ordered=True, session=session)
        except BulkWriteError as error:
            if all(row["code"] == _DUPLICATE_KEY for row in error.details["writeErrors"]):
                raise ViewChanged(collection) from error
            raise
        if result.matched_count < self.replaced or result.deleted_count < self.deleted:
            raise ViewChanged(collection)


def _kind(operation: Operation) -> int:
    return _KINDS.index(type(operation))


def looked_up(staged: Mapping[Address, Raw | None]) -> dict[str, Writes]:
    """Writes of what has just been looked up in the same transaction."""
    writes: dict[str, Writes] = defaultdict(Writes)
    for (collection, id), raw in staged.items():
        writes[collection].operations.append(_unchecked(id, raw))
    return writes


def _unchecked(id: Any, raw: Raw | None) -> Operation:
    return DeleteOne({"_id": id}) if raw is None else ReplaceOne({"_id": id}, raw, upsert=True)


def checking(staged: Mapping[Address, Raw | None], seen: Mapping[Address, int]) -> dict[str, Writes]:
    """Writes that check by themselves what each document was seen as."""
    writes: dict[str, Writes] = defaultdict(Writes)
    for (collection, id), raw in staged.items():
        revision = seen.get((collection, id))
        of = writes[collection]
        if revision is None:
            of.operations.append(_unchecked(id, raw))
        elif raw is None:
            of.operations.append(DeleteOne({"_id": id, REVISION: revision}))
            of.deleted += 1
        elif revision == ABSENT:
            of.operations.append(InsertOne(raw))
        else:
            of.operations.append(ReplaceOne({"_id": id, REVISION: revision}, raw))
            of.replaced += 1
    return writes


def checks_itself(raw: Raw | None, revision: int) -> bool:
    """Whether the write of a document can check its view; the removal of an absent one cannot."""
    return raw is not None or revision != ABSENT
