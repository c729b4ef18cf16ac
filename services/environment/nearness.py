"""How near air stations are to road segments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mesh.geometry import METRES_PER_DEGREE, Place, metres_to_line
from services.environment.documents import Station

Lines = Mapping[str, Sequence[Sequence[float]]]
"""Latitude and longitude of points by segment; a segment without a known line has none."""


def latitudes(lines: Lines, radius_m: float) -> tuple[float, float]:
    """Southern and northern limit of what can be near; without a line, nothing can."""
    margin = radius_m / METRES_PER_DEGREE
    found = [latitude for line in lines.values() for latitude, _ in line]
    return (min(found) - margin, max(found) + margin) if found else (0.0, -1.0)


def is_near(station: Station, lines: Lines, radius_m: float) -> bool:
    """Whether a station is at most the radius away from one of the lines."""
    place = Place(station.latitude, station.longitude)
    return any(metres_to_line(place, line) <= radius_m for line in _candidates(place, lines, radius_m))


def _candidates(place: Place, lines: Lines, radius_m: float) -> Iterator[list[Place]]:
    """Lines whose latitudes are near enough: a city's worth of segments is looked through in no time."""
    margin = radius_m / METRES_PER_DEGREE
    for line in lines.values():
        if line and min(p[0] for p in line) - margin <= place.latitude <= max(p[0] for p in line) + margin:
            yield [Place(*point) for point in line]
