"""Segments, congestion and incidents as messages of the contract, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from lienthong.transport import v1
from services.transport.documents import CongestionSample, Incident, RoadSegment
from services.transport.times import at


def line_message(points: Sequence[Sequence[float]]) -> v1.LineString:
    """A line, from GeoJSON coordinates."""
    return v1.LineString(points=[v1.Location(latitude=lat, longitude=lon) for lon, lat in points])


def segment_document(segment: v1.RoadSegment) -> RoadSegment:
    """A segment as it is kept."""
    return RoadSegment(
        id=segment.id,
        name=segment.name,
        line=[[point.longitude, point.latitude] for point in segment.line.points],
        capacity_per_h=segment.capacity_per_h,
        flood_prone=segment.flood_prone,
        commune_code=segment.commune_code,
    )


def segment_message(segment: RoadSegment) -> v1.RoadSegment:
    """A segment as callers see it."""
    return v1.RoadSegment(
        id=segment.id,
        name=segment.name,
        line=line_message(segment.points),
        capacity_per_h=segment.capacity_per_h,
        flood_prone=segment.flood_prone,
        commune_code=segment.commune_code or "",
    )


def congestion_message(sample: CongestionSample) -> v1.Congestion:
    """A sample as callers see it."""
    return v1.Congestion(
        province_code=sample.province_code,
        segment_id=sample.segment_id or "",
        hour=Timestamp(seconds=sample.hour * 3600),
        congestion=sample.congestion,
        samples=sample.samples,
        coverage=sample.coverage,
    )


def listed_incident(incident: Incident) -> v1.Incident:
    """An incident as lists show it: without what may be personal."""
    return v1.Incident(
        id=incident.id,
        state=incident.state,
        reported_at=at(incident.reported_at_ms),
        changed_at=at(incident.changed_at_ms),
        cleared_at=at(incident.cleared_at_ms),
        resolution=incident.resolution or "",
        **_whole(incident),
    )


def incident_message(incident: Incident) -> v1.Incident:
    """An incident as who asks for it by id sees it."""
    message = listed_incident(incident)
    message.description = incident.description or ""
    return message


def incident_reported(incident: Incident) -> v1.IncidentReported:
    """The event of an incident that began."""
    return v1.IncidentReported(incident_id=incident.id, reported_at=at(incident.reported_at_ms), **_whole(incident))


def incident_changed(incident: Incident) -> v1.IncidentChanged:
    """The event of an incident of which more is known."""
    return v1.IncidentChanged(incident_id=incident.id, changed_at=at(incident.changed_at_ms), **_whole(incident))


def incident_cleared(incident: Incident, field_report_id: str) -> v1.IncidentCleared:
    """The event of an incident that is over. Without a field report nobody answers one."""
    return v1.IncidentCleared(
        incident_id=incident.id,
        field_report_id=field_report_id,
        resolution=incident.resolution or "",
        cleared_at=at(incident.cleared_at_ms),
    )


def _whole(incident: Incident) -> dict[str, Any]:
    """What resource and events have in common."""
    return {
        "cause": incident.cause,
        "effect": incident.effect,
        "severity": incident.severity,
        "location": v1.Location(latitude=incident.latitude, longitude=incident.longitude),
        "segment_ids": incident.segment_ids,
        "field_report_id": incident.field_report_id or "",
    }
