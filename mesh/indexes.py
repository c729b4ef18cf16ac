"""Indexes of a service's database, declared by its document classes and by the runtime."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pymongo import ASCENDING
from pymongo.database import Database

from mesh.effects import EFFECTS
from mesh.store import Document, collection_of
from mesh.unit import Raw

EFFECTS_KEPT = timedelta(days=30)


def ensure_indexes(database: Database[Raw], service_cls: type[Any], requests_kept: timedelta) -> None:
    """Creates what is missing; existing indexes are left alone."""
    database["requests"].create_index("at", expireAfterSeconds=int(requests_kept.total_seconds()))
    database[EFFECTS].create_index("committed_at", expireAfterSeconds=int(EFFECTS_KEPT.total_seconds()))
    database["dead_letters"].create_index([("subscription", ASCENDING), ("line", ASCENDING), ("sequence", ASCENDING)])
    for model in documents_of(service_cls):
        for index in model._meta.get("index_specs") or ():
            options = {name: value for name, value in index.items() if name not in ("fields", "types")}
            database[collection_of(model)].create_index(index["fields"], **options)


def documents_of(service_cls: type[Any]) -> list[type[Document]]:
    """Document classes of the package a service class lives in."""
    package = service_cls.__module__.rpartition(".")[0]
    return [model for model in _subclasses(Document) if _within(model, package, service_cls.__module__)]


def _subclasses(model: type[Document]) -> list[type[Document]]:
    found = []
    for subclass in model.__subclasses__():
        found += [subclass, *_subclasses(subclass)]
    return [subclass for subclass in found if not subclass._meta.get("abstract")]


def _within(model: type[Document], package: str, module: str) -> bool:
    return model.__module__ == module or (bool(package) and model.__module__.startswith(package + "."))
