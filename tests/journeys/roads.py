"""Roads of a journey, placed by their distance from a station."""

from __future__ import annotations

import math
from typing import Any

from lienthong.transport.v1 import LineString, Location, RoadSegment
from mesh.geometry import METRES_PER_DEGREE

_LENGTH_M = 100


def east_of(station: Any, metres: float) -> Location:
    """The place that far east of a station."""
    at = station.location
    degrees = metres / (METRES_PER_DEGREE * math.cos(math.radians(at.latitude)))
    return Location(latitude=at.latitude, longitude=at.longitude + degrees)


def segment(id: str, begin: Location, *, flood_prone: bool = False) -> RoadSegment:
    """A hundred metres of road that lead north."""
    end = Location(latitude=begin.latitude + _LENGTH_M / METRES_PER_DEGREE, longitude=begin.longitude)
    return RoadSegment(id=id, name=f"Đường {id}", line=LineString(points=[begin, end]), flood_prone=flood_prone)
