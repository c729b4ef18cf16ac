"""Stations' hours from the store and back, in as few round trips as a batch of any size allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mesh.store import Documents
from services.environment.documents import Hour, Station, Watch, hour_id
from services.environment.hours import StationHours, needed_hours
from services.environment.settings import EnvironmentSettings


def load_heard(
    store: Documents, watches: Mapping[str, Watch], reported: Mapping[str, Iterable[int]]
) -> dict[str, dict[int, Hour]]:
    """Hours that readings are `reported` of, where they exist, by station. Open ones come along, for `load_hours`."""
    wanted = [hour_id(id, hour) for id, hours in reported.items() for hour in hours]
    wanted += [hour_id(watch.id, watch.latest_hour) for watch in watches.values() if watch.has_open_hour]
    heard: dict[str, dict[int, Hour]] = {id: {} for id in reported}
    for document in store.get_many(Hour, wanted).values():
        heard[document.station_id][document.hour] = document
    return heard


def load_hours(
    store: Documents,
    emit: Callable[[Any], None],
    settings: EnvironmentSettings,
    watches: Iterable[Watch],
    reported: Mapping[str, Iterable[int]],
) -> list[StationHours]:
    """Hours of the watched stations: the open one, the `reported` ones, and those that these may change."""
    stations = store.get_many(Station, [watch.id for watch in watches])
    needed = {watch.id: needed_hours(watch, reported.get(watch.id, ())) for watch in watches}
    found = store.get_many(Hour, [hour_id(id, hour) for id, hours in needed.items() for hour in hours])
    books = {watch.id: StationHours(stations[watch.id], watch, settings, emit) for watch in watches}
    for document in found.values():
        books[document.station_id].hours[document.hour] = document
    return list(books.values())


def save_hours(store: Documents, book: StationHours) -> None:
    """Stages what changed of a station's hours."""
    for hour in sorted(book.touched):
        store.put(book.hours[hour])
    store.put(book.watch)
