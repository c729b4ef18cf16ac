"""Road works around one air station, and a short way to say where they are and how long they last."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from lienthong.environment.v1 import (
    DUST_WATCH_STATE_STANDING,
    DustWatch,
    ListDustWatchesRequest,
    Location,
    RegisterStationRequest,
    Station,
)
from lienthong.transport.v1 import (
    CAUSE_CONSTRUCTION,
    EFFECT_NO_SERVICE,
    LIFT_REASON_CAUSE_ENDED,
    AffectedSegment,
    LineString,
    RoadRestrictionChanged,
    RoadRestrictionImposed,
    RoadRestrictionLifted,
)
from lienthong.transport.v1 import Location as Point
from mesh.geometry import METRES_PER_DEGREE
from tests.unit.environment.city import MIDNIGHT, STATION, City

LATITUDE, LONGITUDE = 21.04, 105.85
"""Of Hàng Đậu."""


@dataclass(frozen=True)
class Cause:
    """What a handler looks at of an event's envelope."""

    key_revision: int
    id: str = field(default="0198-cause")


def north_m(metres: float) -> float:
    """Latitude so many metres north of the station."""
    return LATITUDE + metres / METRES_PER_DEGREE


def segment(metres: float, id: str = "s1") -> AffectedSegment:
    """A road from west to east, so many metres north of the station."""
    ends = (Point(latitude=north_m(metres), longitude=LONGITUDE + east) for east in (-0.01, 0.01))
    return AffectedSegment(id=id, line=LineString(points=ends))


def at(hours: float) -> Timestamp:
    """A moment so many hours after midnight."""
    moment = Timestamp()
    moment.FromDatetime(MIDNIGHT + timedelta(hours=hours))
    return moment


@dataclass
class RoadWorks:
    """One restriction as transport tells of it."""

    city: City
    id: str = "works"
    revision: int = 0

    def impose(self, *metres: float, start: float = 0, until: float | None = None, **said: Any) -> None:
        self._tell("tighten_near_road_works", self.imposed(RoadRestrictionImposed, metres, start, until, **said))

    def change(self, *metres: float, start: float = 0, until: float | None = None, **said: Any) -> None:
        self._tell("follow_road_works", self.imposed(RoadRestrictionChanged, metres, start, until, **said))

    def lift(self, hours: float, **said: Any) -> None:
        self._tell("relax_after_road_works", self.lifted(hours, **said))

    def imposed(
        self, kind: type[Any], metres: tuple[float, ...], start: float, until: float | None, **said: Any
    ) -> Any:
        return kind(
            restriction_id=self.id,
            cause=said.get("cause", CAUSE_CONSTRUCTION),
            effect=EFFECT_NO_SERVICE,
            segments=[segment(one, f"s{number}") for number, one in enumerate(metres)],
            until=None if until is None else at(until),
            **{"from": at(start)},
        )

    def lifted(self, hours: float, **said: Any) -> RoadRestrictionLifted:
        return RoadRestrictionLifted(
            restriction_id=self.id,
            cause=said.get("cause", CAUSE_CONSTRUCTION),
            reason=LIFT_REASON_CAUSE_ENDED,
            lifted_at=at(hours),
        )

    def _tell(self, method: str, event: Any) -> None:
        self.revision += 1
        getattr(self.city.service, method)(event, Cause(self.revision, f"event-{self.revision}"))


def watches(city: City, **wanted: Any) -> list[DustWatch]:
    return list(city.service.list_dust_watches(ListDustWatchesRequest(**wanted)).dust_watches)


def standing(city: City) -> dict[str, tuple[list[str], datetime, datetime | None]]:
    """Standing watches by id: their stations, from and until."""
    return {
        watch.id: (
            list(watch.station_ids),
            getattr(watch, "from").ToDatetime(),
            watch.until.ToDatetime() if watch.HasField("until") else None,
        )
        for watch in watches(city, state=DUST_WATCH_STATE_STANDING)
    }


def place(city: City, metres: float, station: str = STATION) -> None:
    """Registers a station so many metres north of Hàng Đậu."""
    location = Location(latitude=north_m(metres), longitude=LONGITUDE)
    request = RegisterStationRequest(request_id="place", station=Station(id=station, name=station, location=location))
    city.service.register_station(request)
