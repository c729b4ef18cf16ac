"""Pages of segments, congestion, incidents and restrictions."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from lienthong.transport import v1
from mesh.geometry import Place
from mesh.pages import PAGE, given, page, page_by, page_by_id
from mesh.store import Documents
from mesh.times import to_ms
from services.transport.congestion import hour_text
from services.transport.documents import CongestionSample, Incident, Restriction, RoadSegment
from services.transport.messages import congestion_message, listed_incident, segment_message
from services.transport.restriction_messages import restriction_message
from services.transport.segments import Within, near

_NS_PER_HOUR: Final = 3_600_000_000_000
_LAST_HOUR: Final = 253_402_300_800 // 3600 - 1
"""Of the year 9999."""
_AFTER_ALL: Final = "~"
"""Sorts after every hour."""


def list_segments(store: Documents, request: v1.ListRoadSegmentsRequest) -> v1.ListRoadSegmentsResponse:
    """A page of segments; its token is the last id."""
    shown, token = page_by_id(store, RoadSegment, request, **given(flood_prone=request.flood_prone_only))
    return v1.ListRoadSegmentsResponse(segments=map(segment_message, shown), next_page_token=token)


def find_segments(store: Documents, request: v1.FindRoadSegmentsRequest) -> v1.FindRoadSegmentsResponse:
    """A page of segments within a circle; its token is the last id."""
    size, center = request.page_size or PAGE, request.within.center
    circle = Within(Place(center.latitude, center.longitude), request.within.radius_m, request.flood_prone_only)
    found = near(store, circle, after=request.page_token, limit=size + 1)
    shown, token = page(found, size, lambda segment: str(segment.id))
    return v1.FindRoadSegmentsResponse(segments=map(segment_message, shown), next_page_token=token)


def list_congestion(store: Documents, request: v1.ListCongestionRequest) -> v1.ListCongestionResponse:
    """A page of samples of one place; its token is hour and province code of the last."""
    shown, token = page_by(
        "at",
        store,
        CongestionSample,
        request,
        segment_id=request.segment_id,
        at__gte=_first_hour(getattr(request, "from")) if request.HasField("from") else "",
        at__lt=_first_hour(request.until) if request.HasField("until") else _AFTER_ALL,
        **given(province_code=request.province_code),
    )
    return v1.ListCongestionResponse(samples=map(congestion_message, shown), next_page_token=token)


def list_incidents(store: Documents, request: v1.ListIncidentsRequest) -> v1.ListIncidentsResponse:
    """A page of incidents; its token is the last id."""
    filters = given(state=request.state, segment_ids=request.segment_id, cause=request.cause)
    shown, token = page_by_id(store, Incident, request, **filters)
    return v1.ListIncidentsResponse(incidents=map(listed_incident, shown), next_page_token=token)


def list_restrictions(store: Documents, request: v1.ListRestrictionsRequest) -> v1.ListRestrictionsResponse:
    """A page of restrictions; its token is the last id."""
    shown, token = page_by_id(store, Restriction, request, **_restriction_filters(request))
    return v1.ListRestrictionsResponse(restrictions=map(restriction_message, shown), next_page_token=token)


def _restriction_filters(request: v1.ListRestrictionsRequest) -> dict[str, Any]:
    filters = given(
        segment_ids=request.segment_id,
        cause=request.cause,
        effect=request.effect,
        cause_topic=request.cause_topic,
    )
    states = {request.state} if request.state else {v1.RESTRICTION_STATE_IMPOSED, v1.RESTRICTION_STATE_LIFTED}
    if request.HasField("active_at"):
        states &= {v1.RESTRICTION_STATE_IMPOSED}
        at_ms = to_ms(request.active_at)
        filters |= {"from_ms__lte": at_ms, "until_ms__gt": at_ms}
    return filters | {"state__in": sorted(states)}


def _first_hour(at: Timestamp) -> str:
    """The first hour that starts at or after a time."""
    return hour_text(min(-(-at.ToNanoseconds() // _NS_PER_HOUR), _LAST_HOUR))
