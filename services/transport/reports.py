"""What field reports become here: an incident while they are with transport, and an answer when that is cleared.

A report may be routed away and come back. Cleared is final, so each time it comes it is an incident of its own; which
one stands follows from the event with the highest `key_revision` alone.
"""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import Any, Final

from lienthong.administration.v1 import (
    SECTOR_TRANSPORT,
    AnswerFieldReportRequest,
    FieldReportRouted,
    ReportCategory,
)
from lienthong.transport import v1
from mesh.errors import FailedPrecondition, NotFound
from mesh.events import Event
from mesh.store import Documents
from mesh.times import to_ms
from services.transport.documents import FollowedReport, Incident, reported_incident_id
from services.transport.incidents import Incidents


def follow_report(incidents: Incidents, routed: FieldReportRouted, event: Event) -> None:
    """Reports an incident when the report comes to transport, and drops the one it became before."""
    store = incidents.store
    report = store.get(FollowedReport, routed.report_id) or FollowedReport(id=routed.report_id, key_revision=0)
    if event.key_revision <= report.key_revision:
        return
    report.key_revision = event.key_revision
    if report.incident_id:
        incidents.drop(report.incident_id)
        report.incident_id = ""
    if routed.sector == SECTOR_TRANSPORT:
        incident = _incident(routed, event.key_revision, incidents.now_ms)
        report.incident_id = incidents.begin(incident).id
    store.put(report)


def answer_report(store: Documents, administration: Any, cleared: v1.IncidentCleared) -> None:
    """Answers the field report of a cleared incident. No more where that is answered or rerouted."""
    request = AnswerFieldReportRequest(
        report_id=cleared.field_report_id,
        sector=SECTOR_TRANSPORT,
        answer=cleared.resolution or _standard_answer(store, cleared.incident_id),
    )
    try:
        administration.answer_field_report(request)
    except (FailedPrecondition, NotFound):
        return


def _incident(routed: FieldReportRouted, key_revision: int, now_ms: int) -> Incident:
    """An incident that does nothing to traffic until somebody has looked."""
    return Incident(
        id=reported_incident_id(routed.report_id, key_revision),
        cause=_CAUSES.get(routed.category, v1.CAUSE_OTHER),
        effect=v1.EFFECT_NO_EFFECT,
        severity=v1.SEVERITY_UNKNOWN,
        latitude=routed.location.latitude,
        longitude=routed.location.longitude,
        field_report_id=routed.report_id,
        state=v1.INCIDENT_STATE_REPORTED,
        reported_at_ms=to_ms(routed.routed_at),
        changed_at_ms=now_ms,
    )


def _standard_answer(store: Documents, incident_id: str) -> str:
    incident = store.get(Incident, incident_id)
    cause = v1.CAUSE_OTHER if incident is None else incident.cause
    return _ANSWERS.get(cause, _ANSWERS[v1.CAUSE_OTHER])


def _rows(file: str) -> csv.DictReader[str]:
    return csv.DictReader(files(__package__).joinpath(file).read_text("utf-8").splitlines())


_CAUSES: Final = {
    ReportCategory.Value(f"REPORT_CATEGORY_{row['category']}"): v1.Cause.Value(f"CAUSE_{row['cause']}")
    for row in _rows("report_causes.csv")
}
_ANSWERS: Final = {v1.Cause.Value(f"CAUSE_{row['cause']}"): row["answer"] for row in _rows("answers.csv")}
