"""Registering air stations."""

from __future__ import annotations

from lienthong.environment import v1
from mesh.errors import AlreadyExists
from mesh.store import Documents
from services.environment.documents import Station
from services.environment.documents_water import WaterStation
from services.environment.dust_watch import place_station
from services.environment.messages import station_document
from services.environment.settings import EnvironmentSettings


def register_station(store: Documents, settings: EnvironmentSettings, station: v1.Station) -> None:
    """Creates or replaces a station. Raises AlreadyExists where a water station has its id."""
    if store.get(WaterStation, station.id):
        raise AlreadyExists("water station", station.id)
    known = store.get(Station, station.id)
    document = station_document(station)
    store.put(document)
    if known is None or _place(known) != _place(document):
        place_station(store, settings, document)


def _place(station: Station) -> tuple[float, float]:
    return station.latitude, station.longitude
