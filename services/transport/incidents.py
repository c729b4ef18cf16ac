"""What happens to incidents: reported, changed, cleared, each with its event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lienthong.transport import v1
from mesh.errors import AlreadyExists, InvalidArgument
from mesh.store import Documents
from services.transport import incident_states
from services.transport.documents import Incident, requested_incident_id
from services.transport.messages import incident_changed, incident_cleared, incident_reported
from services.transport.segments import require_segments

Said = v1.ReportIncidentRequest | v1.UpdateIncidentRequest


@dataclass(frozen=True, slots=True)
class Incidents:
    """Incidents as one handler run moves them."""

    store: Documents
    emit: Callable[[Any], None]
    now_ms: int

    def report(self, request: v1.ReportIncidentRequest) -> Incident:
        """Keeps what somebody reports."""
        incident = Incident(
            id=requested_incident_id(request.request_id),
            field_report_id=request.field_report_id,
            state=v1.INCIDENT_STATE_REPORTED,
            reported_at_ms=self.now_ms,
        )
        if self.store.get(Incident, incident.id) is not None:
            raise AlreadyExists("incident", incident.id)
        self._write(incident, request)
        return self.begin(incident)

    def begin(self, incident: Incident) -> Incident:
        """Keeps a new incident."""
        self.store.put(incident)
        self.emit(incident_reported(incident))
        return incident

    def update(self, request: v1.UpdateIncidentRequest) -> Incident:
        """Replaces what is known of an incident that lasts."""
        incident = self.store.require(Incident, request.incident_id, "incident")
        incident.state = incident_states.after("update", incident.state, incident.id)
        before = _seen(incident)
        self._write(incident, request)
        self.store.put(incident)
        if _seen(incident) != before:
            self.emit(incident_changed(incident))
        return incident

    def clear(self, id: str, resolution: str) -> Incident:
        """Ends an incident; the field report it follows is answered with what was done."""
        incident = self.store.require(Incident, id, "incident")
        return self._end(incident, resolution, incident.field_report_id)

    def drop(self, id: str) -> None:
        """Ends an incident that lasts and is no longer ours, and answers nobody."""
        incident = self.store.get(Incident, id)
        if incident is not None and incident.state == v1.INCIDENT_STATE_REPORTED:
            self._end(incident, "", "")

    def _end(self, incident: Incident, resolution: str, answered_report_id: str) -> Incident:
        incident.state = incident_states.after("clear", incident.state, incident.id)
        incident.resolution = resolution
        incident.cleared_at_ms = incident.changed_at_ms = self.now_ms
        self.store.put(incident)
        self.emit(incident_cleared(incident, answered_report_id))
        return incident

    def _write(self, incident: Incident, request: Said) -> None:
        incident.cause, incident.effect = request.cause, request.effect
        incident.severity = request.severity or v1.SEVERITY_UNKNOWN
        incident.latitude, incident.longitude = request.location.latitude, request.location.longitude
        incident.segment_ids = self._segment_ids(request.effect, request.segment_ids)
        incident.description = request.description
        incident.changed_at_ms = self.now_ms

    def _segment_ids(self, effect: int, ids: Sequence[str]) -> list[str]:
        if effect != v1.EFFECT_NO_EFFECT and not ids:
            raise InvalidArgument.field("segment_ids", "must not be empty unless effect is NO_EFFECT", rule="required")
        return [segment.id for segment in require_segments(self.store, ids)]


def _seen(incident: Incident) -> tuple[Any, ...]:
    """What the event of an incident tells of it."""
    return (
        incident.cause,
        incident.effect,
        incident.severity,
        incident.latitude,
        incident.longitude,
        list(incident.segment_ids),
    )
