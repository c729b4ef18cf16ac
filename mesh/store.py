"""Documents as handlers see them: reads by id and query, an identity map, staged writes.

MongoEngine knows no sessions, so it reads and describes documents here, and the commit writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from mongoengine.queryset import QuerySet
from nameko.extensions import DependencyProvider
from pymongo.database import Database

from mesh.document import D, Document, from_raw, to_raw
from mesh.errors import NotFound
from mesh.remembered import Remembered
from mesh.unit import ABSENT, REVISION, Address, Raw, Unit

__all__ = ["D", "Document", "Documents", "StagedInRun", "Store", "StoreSession", "collection_of", "from_raw", "to_raw"]


class StagedInRun(Exception):
    """A query met a collection in which earlier units of the run have staged writes: commit those, then run again."""


class Documents(Protocol):
    """What a handler may ask of ``self.store``; kept by `StoreSession` and by `mesh.testing.MemoryStore`."""

    def get(self, model: type[D], id: str) -> D | None: ...
    def get_many(self, model: type[D], ids: Iterable[str]) -> dict[str, D]: ...
    def require(self, model: type[D], id: str, what: str = "") -> D: ...
    def find(
        self, model: type[D], *, order_by: Sequence[str] = (), limit: int | None = None, **filters: Any
    ) -> list[D]: ...
    def put(self, document: Document) -> None: ...
    def delete(self, document: Document) -> None: ...


def collection_of(model: type[Document]) -> str:
    """Name of the collection a document class lives in."""
    return str(model._get_collection_name())


class StoreSession:
    """`Documents` over MongoDB for one unit of work."""

    def __init__(self, unit: Unit, database: Database[Raw], remembered: Remembered | None = None) -> None:
        """With ``remembered``, documents by id are recalled where that is possible; queries always read."""
        self._unit = unit
        self._database = database
        self._remembered = remembered
        self._known: dict[Address, Document | None] = {}
        self._put: dict[Address, Document] = {}

    def renew(self, unit: Unit) -> None:
        """Forgets what it knew, for the next unit of the same run."""
        self._unit = unit
        self._known.clear()
        self._put.clear()

    def get(self, model: type[D], id: str) -> D | None:
        """Returns the document, or ``None``; asked twice, the same object."""
        return self.get_many(model, (id,)).get(id)

    def get_many(self, model: type[D], ids: Iterable[str]) -> dict[str, D]:
        """Returns those of the documents that exist, by id, in one round trip at most."""
        name = collection_of(model)
        wanted = list(dict.fromkeys(ids))
        missing = [id for id in wanted if not self._knows(model, (name, id))]
        if missing:
            criterion: Any = {"$in": missing} if len(missing) > 1 else missing[0]
            found = {raw["_id"]: raw for raw in self._database[name].find({"_id": criterion})}
            for id in missing:
                self._read(model, (name, id), found.get(id))
        documents = ((id, self._known[(name, id)]) for id in wanted)
        return {id: document for id, document in documents if isinstance(document, model)}

    def require(self, model: type[D], id: str, what: str = "") -> D:
        """Returns the document or raises `NotFound` naming it as ``what``."""
        document = self.get(model, id)
        if document is None:
            raise NotFound(what or model.__name__, id)
        return document

    def find(
        self, model: type[D], *, order_by: Sequence[str] = (), limit: int | None = None, **filters: Any
    ) -> list[D]:
        """Returns committed documents that match, in MongoEngine's filter and order syntax.

        A document this unit already knows comes as it knows it. Documents not found leave no view:
        decide over ids, not over the absence of results.
        """
        name = collection_of(model)
        if any(collection == name for collection, _ in self._unit.beneath):
            raise StagedInRun(name)
        query = QuerySet(model, self._database[name]).filter(**filters).order_by(*order_by)
        cursor = self._database[name].find(query._query)
        if query._ordering:
            cursor = cursor.sort(query._ordering)
        documents = []
        for raw in cursor.limit(limit or 0):
            address = (name, raw["_id"])
            if address not in self._known:
                self._learn(model, address, raw)
            document = self._known[address]
            if isinstance(document, model):
                documents.append(document)
        return documents

    def put(self, document: Document) -> None:
        """Stages the document as it is when the handler returns."""
        address = self._address(document)
        self._known[address] = document
        self._put[address] = document

    def delete(self, document: Document) -> None:
        """Stages the document's removal."""
        address = self._address(document)
        self._known[address] = None
        self._put.pop(address, None)
        self._unit.stage(address, None)

    def seal(self) -> list[str]:
        """Moves what was put into the unit; returns the class names written, for counting effects."""
        for address, document in self._put.items():
            self._unit.stage(address, to_raw(document))
        written = [type(document).__name__ for document in self._put.values()]
        self._put.clear()
        return written

    def _knows(self, model: type[D], address: Address) -> bool:
        if address in self._known:
            return True
        if address in self._unit.beneath:
            raw = self._unit.beneath[address]
            self._known[address] = None if raw is None else from_raw(model, raw)
            return True
        return self._recalls(model, address)

    def _recalls(self, model: type[D], address: Address) -> bool:
        raw = self._remembered.recall(address) if self._remembered is not None else None
        if raw is None:
            return False
        self._unit.recalled = True
        self._learn(model, address, raw)
        return True

    def _read(self, model: type[D], address: Address, raw: Raw | None) -> None:
        self._learn(model, address, raw)
        if self._remembered is not None and raw is not None:
            self._remembered.read(address, raw)

    def _learn(self, model: type[D], address: Address, raw: Raw | None) -> None:
        self._unit.saw(address, ABSENT if raw is None else raw.get(REVISION, ABSENT))
        self._known[address] = None if raw is None else from_raw(model, raw)

    @staticmethod
    def _address(document: Document) -> Address:
        return collection_of(type(document)), document.pk


class Store(DependencyProvider):
    """Injects the documents of the service's own database."""

    def get_dependency(self, worker_ctx: Any) -> Documents:
        session: Documents = worker_ctx.data["work"].session
        return session
