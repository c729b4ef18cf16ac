"""Road segments of a GeoJSON file, as the transport sector takes them.

A FeatureCollection (RFC 7946) of LineStrings; the properties of each are the fields of a RoadSegment without its line,
and `locality`, the slug of the one it lies in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from lienthong.transport.v1 import PutRoadSegmentRequest
from mesh import localities
from mesh.cli.exits import UsageError
from mesh.cli.journeys_calls import method_named
from mesh.cli.requests import request_of
from mesh.validation import violations

PUT: Final = "transport.PutRoadSegment"


@dataclass(frozen=True, slots=True)
class Road:
    """One segment and the locality it lies in."""

    locality: str
    request: PutRoadSegmentRequest


def read_roads(path: Path) -> list[Road]:
    """Every segment of the file. Raises UsageError naming the feature that is wrong."""
    try:
        features = json.loads(path.read_text("utf-8"))["features"]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: is no GeoJSON FeatureCollection") from None
    return [_road(feature, f"{path}: feature {number}") for number, feature in enumerate(features, 1)]


def _road(feature: Any, place: str) -> Road:
    try:
        line = feature["geometry"]
        points = [{"latitude": latitude, "longitude": longitude} for longitude, latitude in line["coordinates"]]
        said = dict(feature["properties"])
        slug = said.pop("locality")
    except (KeyError, TypeError, ValueError):
        raise UsageError(f"{place}: expects a LineString with the properties locality, id and name") from None
    if line.get("type") != "LineString" or slug not in localities.slugs():
        raise UsageError(f"{place}: expects a LineString of a locality, not a {line.get('type')} of {slug}")
    segment = {**said, "line": {"points": points}}
    try:
        request = request_of(method_named(PUT), {"segment": segment}, request_id="checked")
    except UsageError as wrong:
        raise UsageError(f"{place}: {wrong}") from None
    if found := violations(request):
        raise UsageError(f"{place}: {found[0]}")
    return Road(slug, cast(PutRoadSegmentRequest, request))
