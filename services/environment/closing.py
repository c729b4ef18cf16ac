"""What closes without a reading: by the clock, or because an operator says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mesh.store import Documents
from services.environment.documents import Watch
from services.environment.loading import load_hours, save_hours
from services.environment.settings import EnvironmentSettings

DUE_PAGE: Final = 100
OPEN_PAGE: Final = 200
COUNTED: Final = 1000
"""How many further stations are counted at most: what is left over is a number for people."""


def close_due(store: Documents, emit: Callable[[Any], None], settings: EnvironmentSettings, now_ms: int) -> bool:
    """Closes hours and lifts silent alerts that are due; true when there may be more."""
    due = store.find(Watch, due_at_ms__lte=now_ms, order_by=("due_at_ms",), limit=DUE_PAGE)
    for book in load_hours(store, emit, settings, due, {}):
        book.tick(now_ms)
        save_hours(store, book)
    return len(due) == DUE_PAGE


def close_open(
    store: Documents, emit: Callable[[Any], None], settings: EnvironmentSettings, limit: int
) -> tuple[int, int]:
    """Closes open hours of up to `limit` stations; returns how many, and how many stations are left."""
    limit = limit or OPEN_PAGE
    found = store.find(Watch, has_open_hour=True, order_by=("id",), limit=limit + COUNTED)
    watches = found[:limit]
    for book in load_hours(store, emit, settings, watches, {}):
        book.close()
        save_hours(store, book)
    return len(watches), len(found) - len(watches)
