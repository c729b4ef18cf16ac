"""What road works do to the alert level of air stations near them.

Every event of a restriction tells the whole of it, so the highest `key_revision` decides, whatever the order. Other
restrictions than road works leave nothing behind: the cause of a restriction never changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lienthong.environment.v1 import DUST_WATCH_STATE_ENDED, DUST_WATCH_STATE_STANDING
from lienthong.transport.v1 import (
    CAUSE_CONSTRUCTION,
    RoadRestrictionChanged,
    RoadRestrictionImposed,
    RoadRestrictionLifted,
)
from mesh.events import Event
from mesh.store import Documents
from mesh.times import to_ms
from services.environment.documents import NEVER_MS, Station, Watch
from services.environment.documents_dust import DustWatch, StandingWorks
from services.environment.nearness import Lines, is_near, latitudes
from services.environment.settings import EnvironmentSettings

_STANDING: Final = "standing"

RoadWorks = RoadRestrictionImposed | RoadRestrictionChanged


def watch_road_works(store: Documents, settings: EnvironmentSettings, works: RoadWorks, event: Event) -> None:
    """Tightens the level of the stations near road works, for their time; of no others any longer."""
    watch = _followed(store, works, event)
    if watch is None:
        return
    _set_standing(store, watch.id, True)
    before = watch.station_ids
    watch.lines = {segment.id: [[p.latitude, p.longitude] for p in segment.line.points] for segment in works.segments}
    watch.from_ms = to_ms(getattr(works, "from"))  # a keyword
    watch.until_ms = to_ms(works.until) if works.HasField("until") else NEVER_MS
    watch.state, watch.alert_index = DUST_WATCH_STATE_STANDING, settings.dust_alert_index
    watch.station_ids = _stations_near(store, watch.lines, settings.dust_radius_m)
    store.put(watch)
    _tell_stations(store, watch, {*before, *watch.station_ids})


def end_road_works(store: Documents, works: RoadRestrictionLifted, event: Event) -> None:
    """Ends a watch when its restriction is lifted; one never heard of is remembered as over."""
    watch = _followed(store, works, event)
    if watch is None:
        return
    if watch.state:
        _set_standing(store, watch.id, False)
        watch.state, watch.lines = DUST_WATCH_STATE_ENDED, {}
        watch.until_ms = min(watch.until_ms, to_ms(works.lifted_at))
    store.put(watch)
    _tell_stations(store, watch, watch.station_ids)


def place_station(store: Documents, settings: EnvironmentSettings, station: Station) -> None:
    """Puts a new or moved station under the watches that stand near it, and under no others."""
    standing = _standing(store)
    store.put(standing)
    for watch in store.get_many(DustWatch, standing.watch_ids).values():
        near = is_near(station, watch.lines, settings.dust_radius_m)
        if near == (station.id in watch.station_ids):
            continue
        watch.station_ids = sorted({*watch.station_ids} ^ {station.id})
        store.put(watch)
        _tell_stations(store, watch, [station.id])


def _followed(store: Documents, works: RoadWorks | RoadRestrictionLifted, event: Event) -> DustWatch | None:
    """The watch, now following this event; None when there is nothing to follow or it follows a later one."""
    if works.cause != CAUSE_CONSTRUCTION:
        return None
    watch = store.get(DustWatch, works.restriction_id) or DustWatch(id=works.restriction_id, key_revision=0)
    if event.key_revision <= watch.key_revision:
        return None
    watch.key_revision, watch.causation_id = event.key_revision, event.id
    return watch


def _stations_near(store: Documents, lines: Lines, radius_m: float) -> list[str]:
    south, north = latitudes(lines, radius_m)
    candidates = store.find(Station, latitude__gte=south, latitude__lte=north)
    return sorted(station.id for station in candidates if is_near(station, lines, radius_m))


def _tell_stations(store: Documents, watch: DustWatch, station_ids: Iterable[str]) -> None:
    """Writes the span into the stations' own watches, so that judging an hour asks for nothing more."""
    span = [watch.from_ms, watch.until_ms, watch.alert_index]
    known = store.get_many(Watch, station_ids)
    for id in station_ids:
        station = known.get(id) or Watch(id=id)
        others = {name: kept for name, kept in station.dust.items() if name != watch.id}
        holds = id in watch.station_ids and watch.from_ms < watch.until_ms
        station.dust = others | {watch.id: span} if holds else others
        store.put(station)


def _set_standing(store: Documents, watch_id: str, stands: bool) -> None:
    standing = _standing(store)
    others = {*standing.watch_ids} - {watch_id}
    standing.watch_ids = sorted(others | {watch_id} if stands else others)
    store.put(standing)


def _standing(store: Documents) -> StandingWorks:
    return store.get(StandingWorks, _STANDING) or StandingWorks(id=_STANDING)
