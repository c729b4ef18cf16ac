"""What MongoDB's `$near` finds, for `mesh.testing.MemoryStore`: any point of a line within a distance of a place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mesh.geometry import Place, metres_to_line


def is_near(shape: Any, near: Mapping[str, Any]) -> bool:
    """Whether a GeoJSON Point or LineString has a point within `$maxDistance` metres of `$geometry`, WGS 84.

    A document without a shape is not near. Other shapes raise ValueError: no sector keeps them.
    """
    if shape is None:
        return False
    if "$maxDistance" not in near:
        return True
    [place] = _places(near["$geometry"])
    return metres_to_line(place, _places(shape)) <= float(near["$maxDistance"])


def _places(shape: Mapping[str, Any]) -> list[Place]:
    """Places of a shape; GeoJSON names the longitude first."""
    kind, coordinates = shape["type"], shape["coordinates"]
    if kind not in ("Point", "LineString"):
        raise ValueError(f"$near in memory knows Point and LineString, not {kind}")
    points = [coordinates] if kind == "Point" else coordinates
    return [Place(latitude, longitude) for longitude, latitude in points]
