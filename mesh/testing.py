"""Fakes for tests without I/O: `worker_factory(Service, store=MemoryStore(), emit=RecordingEmit(), …)`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import ge, gt, le, lt
from typing import Any

from google.protobuf.message import Message
from mongoengine.queryset import QuerySet

from mesh.errors import NotFound
from mesh.store import D, Document, collection_of, from_raw, to_raw
from mesh.testing_geo import is_near
from mesh.unit import Address, Raw


class ManualClock:
    """A clock that stands still until told otherwise."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        self._now += by


class RecordingEmit:
    """Keeps what a handler emits."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def __call__(self, message: Message) -> None:
        self.messages.append(message)

    def of(self, kind: type[Message]) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]


class MemoryStore:
    """`mesh.store.Documents` in memory; what is put is visible at once.

    Documents go through the same conversion as in MongoDB, so a field that cannot be stored fails here too.
    """

    def __init__(self) -> None:
        self._raw: dict[Address, Raw] = {}

    def get(self, model: type[D], id: str) -> D | None:
        raw = self._raw.get((collection_of(model), id))
        return None if raw is None else from_raw(model, raw)

    def get_many(self, model: type[D], ids: Iterable[str]) -> dict[str, D]:
        found = {id: self.get(model, id) for id in dict.fromkeys(ids)}
        return {id: document for id, document in found.items() if document is not None}

    def require(self, model: type[D], id: str, what: str = "") -> D:
        document = self.get(model, id)
        if document is None:
            raise NotFound(what or model.__name__, id)
        return document

    def find(
        self, model: type[D], *, order_by: Sequence[str] = (), limit: int | None = None, **filters: Any
    ) -> list[D]:
        query = QuerySet(model, _NO_COLLECTION).filter(**filters).order_by(*order_by)
        name = collection_of(model)
        found = [
            raw for (collection, _), raw in self._raw.items() if collection == name and _matches(raw, query._query)
        ]
        for field, direction in reversed(query._ordering or []):
            found.sort(key=lambda raw: _rank(_value(raw, field)), reverse=direction < 0)
        return [from_raw(model, raw) for raw in found[:limit]]

    def put(self, document: Document) -> None:
        self._raw[collection_of(type(document)), document.pk] = to_raw(document)

    def delete(self, document: Document) -> None:
        self._raw.pop((collection_of(type(document)), document.pk), None)


_ORDER = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}


class _NoCollection:
    """Stands where a query set expects a collection; nothing is ever asked of it."""

    name = ""


_NO_COLLECTION: Any = _NoCollection()


def _matches(raw: Raw, query: dict[str, Any]) -> bool:
    return all(_holds(raw, name, wanted) for name, wanted in query.items())


def _holds(raw: Raw, name: str, wanted: Any) -> bool:
    if name in ("$and", "$or"):
        return (all if name == "$and" else any)(_matches(raw, part) for part in wanted)
    value = _value(raw, name)
    if isinstance(wanted, dict) and any(key.startswith("$") for key in wanted):
        return all(_compares(value, operator, operand) for operator, operand in wanted.items())
    return bool(value == wanted or (isinstance(value, list) and wanted in value))


def _compares(value: Any, operator: str, operand: Any) -> bool:
    if operator == "$near":
        return is_near(value, operand)
    if operator == "$in":
        return value in operand
    if operator == "$nin":
        return value not in operand
    if operator == "$ne":
        return bool(value != operand)
    if operator == "$exists":
        return bool((value is not None) == operand)
    if value is None:
        return False
    value, operand = _sortable(value), _sortable(operand)
    return bool(
        {"$gt": value > operand, "$gte": value >= operand, "$lt": value < operand, "$lte": value <= operand}[operator]
    )


def _value(raw: Raw, name: str) -> Any:
    value: Any = raw
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _rank(value: Any) -> tuple[bool, Any]:
    """As MongoDB sorts: what lacks the field comes first."""
    return value is not None, _sortable(value)


def _sortable(value: Any) -> Any:
    """MongoDB returns aware times; what was just staged may still be naive UTC."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return value
