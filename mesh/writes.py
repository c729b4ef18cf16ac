"""Writes of a commit as MongoDB commands, which check the views of what they write as they go.

A write whose view no longer holds inserts a duplicate or matches nothing. It does not say which unit it was, so the
commit then goes the careful way: it looks first (ADR-0011).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mesh.unit import ABSENT, REVISION, Address, Raw


class ViewChanged(Exception):
    """A document is not as a unit saw it; which one is for the careful way to find out."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command, and how many documents it must meet."""

    body: Raw
    meets: int = 0

    def check(self, reply: Raw) -> None:
        """Raises `ViewChanged` when a document was not as it had been seen."""
        if reply["n"] < self.meets:
            raise ViewChanged(next(iter(self.body.values())))


@dataclass(slots=True)
class Writes:
    """What is written to one collection."""

    inserts: list[Raw] = field(default_factory=list)
    updates: list[Raw] = field(default_factory=list)
    deletes: list[Raw] = field(default_factory=list)
    removed: int = 0
    """How many of the deletes must find their document."""

    def commands(self, collection: str) -> Iterator[Command]:
        """Each in order, so that the first failure ends it: after that the transaction is gone."""
        if self.inserts:
            yield Command({"insert": collection, "documents": self.inserts})
        if self.updates:
            yield Command({"update": collection, "updates": self.updates}, meets=len(self.updates))
        if self.deletes:
            yield Command({"delete": collection, "deletes": self.deletes}, meets=self.removed)


def writes_of(staged: Mapping[Address, Raw | None], seen: Mapping[Address, int]) -> dict[str, Writes]:
    """Writes of what is staged; they check by themselves what each document was seen as, where that is told."""
    writes: dict[str, Writes] = defaultdict(Writes)
    for (collection, id), raw in staged.items():
        revision = seen.get((collection, id))
        of = writes[collection]
        if raw is None:
            of.deletes.append({"q": _criterion(id, revision), "limit": 1})
            of.removed += revision is not None
        elif revision == ABSENT:
            of.inserts.append(raw)
        else:
            of.updates.append({"q": _criterion(id, revision), "u": raw, "upsert": revision is None})
    return writes


def checks_itself(raw: Raw | None, revision: int) -> bool:
    """Whether the write of a document can check its view; the removal of an absent one cannot."""
    return raw is not None or revision != ABSENT


def looks(addresses: Iterable[Address]) -> list[Raw]:
    """Commands that look up the revisions of documents."""
    ids: dict[str, list[object]] = defaultdict(list)
    for collection, id in addresses:
        ids[collection].append(id)
    return [
        {
            "find": collection,
            "filter": {"_id": {"$in": of}},
            "projection": {REVISION: 1},
            "batchSize": len(of),
            "singleBatch": True,
        }
        for collection, of in ids.items()
    ]


def revisions(replies: Iterable[Raw]) -> dict[Address, int]:
    """What `looks` found: the revision of each document that exists."""
    return {
        (reply["cursor"]["ns"].partition(".")[2], raw["_id"]): raw.get(REVISION, ABSENT)
        for reply in replies
        for raw in reply["cursor"]["firstBatch"]
    }


def _criterion(id: object, revision: int | None) -> Raw:
    return {"_id": id} if revision is None else {"_id": id, REVISION: revision}
