"""Distances on Earth between places that are near each other, WGS 84 degrees in, metres out.

A plane through the place measured from stands in for the globe: within 50 km, and away from the poles, that is right to
a tenth of a percent, which no rule here can tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

METRES_PER_DEGREE: Final = 6_371_008.8 * math.pi / 180
"""Of latitude, on a sphere with the mean radius of the Earth (IUGG)."""


class Place(NamedTuple):
    """Degrees north and east."""

    latitude: float
    longitude: float


def metres_between(one: Place, other: Place) -> float:
    """Distance of two places."""
    return math.hypot(*_seen_from(one, other))


def metres_to_line(place: Place, line: Sequence[Place]) -> float:
    """Distance of a place from the nearest point of a line, which has at least one."""
    seen = [_seen_from(place, point) for point in line]
    if len(seen) == 1:
        return math.hypot(*seen[0])
    return min(_to_stretch(start, end) for start, end in pairwise(seen))


def _seen_from(origin: Place, point: Place) -> tuple[float, float]:
    """Metres east and north."""
    shrinking = math.cos(math.radians((origin.latitude + point.latitude) / 2))
    east = (point.longitude - origin.longitude + 180) % 360 - 180
    return east * shrinking * METRES_PER_DEGREE, (point.latitude - origin.latitude) * METRES_PER_DEGREE


def _to_stretch(start: tuple[float, float], end: tuple[float, float]) -> float:
    """Distance of the origin from a straight stretch."""
    along = (end[0] - start[0], end[1] - start[1])
    length_squared = along[0] ** 2 + along[1] ** 2
    if not length_squared:
        return math.hypot(*start)
    share = min(1.0, max(0.0, -(start[0] * along[0] + start[1] * along[1]) / length_squared))
    return math.hypot(start[0] + share * along[0], start[1] + share * along[1])
