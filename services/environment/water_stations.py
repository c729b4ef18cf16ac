"""Water stations: registered by callers, and those of the locality that the decision on alarm levels names.

The latter stand in `flood_stations.csv`, each with the source of its levels and of its place.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise
from typing import Any, Final

from lienthong.environment import v1
from mesh.errors import AlreadyExists, InvalidArgument, Violation
from mesh.store import Documents
from services.environment.documents import Station
from services.environment.documents_water import WaterStation
from services.environment.settings import EnvironmentSettings
from services.environment.water_messages import to_mm

_LEVELS: Final = ("level_i_m", "level_ii_m", "level_iii_m")


def register_water_station(store: Documents, settings: EnvironmentSettings, station: v1.WaterStation) -> WaterStation:
    """Creates or replaces a station, defaults filled in. Raises AlreadyExists where an air station has its id."""
    if broken := list(_violations(station)):
        raise InvalidArgument(broken)
    if store.get(Station, station.id):
        raise AlreadyExists("station", station.id)
    store.get(WaterStation, station.id)
    registered = _document(station, settings)
    store.put(registered)
    return registered


def seed_water_stations(store: Documents, settings: EnvironmentSettings, here: str) -> None:
    """Registers the known stations of this locality whose ids are free; what somebody registered stays as it is."""
    known = {row["id"]: row for row in _KNOWN if row["locality"] == here}
    taken = {*store.get_many(WaterStation, known), *store.get_many(Station, known)}
    for id in sorted(known.keys() - taken):
        store.put(_document(_known_station(known[id]), settings))


def _violations(station: v1.WaterStation) -> Iterator[Violation]:
    for lower, upper in pairwise(_LEVELS):
        if _mm(station, lower) >= _mm(station, upper):
            yield Violation(f"station.{upper}", "ascending", f"must be above {lower}")
    if to_mm(station.hysteresis_m) >= _smallest_gap_mm(station) > 0:
        yield Violation("station.hysteresis_m", "hysteresis", "must not reach from one level to the next")


def _document(station: v1.WaterStation, settings: EnvironmentSettings) -> WaterStation:
    default_mm = min(to_mm(settings.flood_hysteresis_m), _smallest_gap_mm(station) // 2)
    return WaterStation(
        id=station.id,
        name=station.name,
        river=station.river,
        latitude=station.location.latitude,
        longitude=station.location.longitude,
        **{level.removesuffix("_m") + "_mm": _mm(station, level) for level in _LEVELS},
        rate_mm_per_h=to_mm(station.plausible_rate_m_per_h or settings.plausible_rate_m_per_h),
        hysteresis_mm=to_mm(station.hysteresis_m) or default_mm,
        reach_m=station.reach_m or settings.flood_reach_m,
        levels_source=station.levels_source,
    )


def _known_station(row: dict[str, str]) -> v1.WaterStation:
    place = v1.Location(latitude=float(row["latitude"]), longitude=float(row["longitude"]))
    levels: dict[str, Any] = {level: float(row[level]) for level in _LEVELS}
    names = {name: row[name] for name in ("id", "name", "river", "levels_source")}
    return v1.WaterStation(location=place, **names, **levels)


def _smallest_gap_mm(station: v1.WaterStation) -> int:
    return min(_mm(station, upper) - _mm(station, lower) for lower, upper in pairwise(_LEVELS))


def _mm(station: v1.WaterStation, level: str) -> int:
    return to_mm(getattr(station, level))


_KNOWN: Final = tuple(csv.DictReader(files(__package__).joinpath("flood_stations.csv").read_text("utf-8").splitlines()))
