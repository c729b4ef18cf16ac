"""Road segments: which lines are lines, which segments lie where, and which are meant by ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from lienthong.transport import v1
from mesh.errors import FailedPrecondition, InvalidArgument, NotFound
from mesh.geometry import Place, metres_between
from mesh.store import Documents
from services.transport.documents import RoadSegment

LONGEST_STRETCH_M: Final = 100_000
"""Between two points of a line. Further apart is a slip, such as latitude for longitude, and no plane fits them."""
MOST_SEGMENTS: Final = 1000
"""Of one restriction: an event carries the line of each."""


@dataclass(frozen=True, slots=True)
class Within:
    """Segments with a point within a circle."""

    center: Place
    radius_m: float
    flood_prone_only: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """Segments by id."""

    ids: Sequence[str]


def check_line(line: v1.LineString) -> None:
    """Refuses what has the shape of a line and is none. MongoDB would refuse a whole commit for it."""
    places = [Place(point.latitude, point.longitude) for point in line.points]
    if len(set(places)) < 2:
        raise InvalidArgument.field("segment.line.points", "must be at least two different places", rule="distinct")
    if any(metres_between(one, other) > LONGEST_STRETCH_M for one, other in pairwise(places)):
        described = f"must lie at most {LONGEST_STRETCH_M // 1000} km from the one before"
        raise InvalidArgument.field("segment.line.points", described, rule="near")


def put_segment(store: Documents, segment: RoadSegment) -> None:
    """Creates a segment, or replaces what is known of it."""
    store.get(RoadSegment, segment.id)
    store.put(segment)


def require_segments(store: Documents, ids: Sequence[str]) -> list[RoadSegment]:
    """The segments, by id, each once; raises NotFound naming the first that does not exist."""
    found = store.get_many(RoadSegment, sorted(set(ids)))
    for id in sorted(set(ids)):
        if id not in found:
            raise NotFound("segment", id)
    return list(found.values())


def near(store: Documents, circle: Within, *, after: str = "", limit: int) -> list[RoadSegment]:
    """Segments with any point within the circle, by id."""
    filters: dict[str, Any] = {"flood_prone": True} if circle.flood_prone_only else {}
    return store.find(
        RoadSegment,
        line__near=[circle.center.longitude, circle.center.latitude],
        line__max_distance=circle.radius_m,
        id__gt=after,
        order_by=("id",),
        limit=limit,
        **filters,
    )


def affected(store: Documents, where: Within | Named) -> list[RoadSegment]:
    """Segments a happening concerns, by id; ids that do not exist are left out.

    Raises FailedPrecondition when they are more than a restriction can hold: to leave some out would open roads
    that are under water.
    """
    if isinstance(where, Named):
        return list(store.get_many(RoadSegment, sorted(set(where.ids))).values())
    found = near(store, where, limit=MOST_SEGMENTS + 1)
    if len(found) > MOST_SEGMENTS:
        raise FailedPrecondition(f"more than {MOST_SEGMENTS} segments lie within {where.radius_m:g} m; lower the reach")
    return found
