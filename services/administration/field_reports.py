"""What becomes of field reports: ROUTED to a sector, perhaps to another one, and ANSWERED by the one it is with."""

from __future__ import annotations

from dataclasses import dataclass

from lienthong.administration import v1
from lienthong.administration.v1 import FIELD_REPORT_STATE_ANSWERED, FIELD_REPORT_STATE_ROUTED, Sector
from mesh.errors import AlreadyExists, FailedPrecondition
from mesh.store import Documents
from mesh.work import Emitter
from services.administration.documents_reports import FieldReport, field_report_id
from services.administration.field_report_messages import answered, routed
from services.administration.report_routing import owner_of


@dataclass(frozen=True, slots=True)
class FieldReports:
    """The field reports of one locality, at one moment."""

    store: Documents
    emit: Emitter
    now_ms: int

    def file(self, request: v1.FileFieldReportRequest) -> FieldReport:
        """Keeps a report with the owner of its category.

        Raises AlreadyExists when another caller used the `request_id`.
        """
        report = FieldReport(
            id=field_report_id(request.request_id),
            category=request.category,
            sector=owner_of(request.category),
            latitude=request.location.latitude,
            longitude=request.location.longitude,
            description=request.description,
            photo_ref=request.photo_ref,
            contact=request.contact,
            state=FIELD_REPORT_STATE_ROUTED,
            filed_at_ms=self.now_ms,
            routed_at_ms=self.now_ms,
        )
        if self.store.get(FieldReport, report.id) is not None:
            raise AlreadyExists("field report", report.id)
        return self._route(report)

    def reroute(self, id: str, sector: int) -> FieldReport:
        """Hands a report to another sector; to the one it is with is no news."""
        report = self._unanswered(id)
        if report.sector == sector:
            return report
        report.sector, report.routed_at_ms = sector, self.now_ms
        return self._route(report)

    def answer(self, id: str, sector: int, answer: str) -> FieldReport:
        """Closes a report. Raises FailedPrecondition naming the sector it is with, when that is another one."""
        report = self._unanswered(id)
        if report.sector != sector:
            owner = Sector.Name(report.sector).removeprefix("SECTOR_")
            raise FailedPrecondition(f"the field report is with {owner}: let it answer, or reroute the report first")
        report.state = FIELD_REPORT_STATE_ANSWERED
        report.answer, report.answered_at_ms = answer, self.now_ms
        self.store.put(report)
        self.emit(answered(report))
        return report

    def _route(self, report: FieldReport) -> FieldReport:
        self.store.put(report)
        self.emit(routed(report))
        return report

    def _unanswered(self, id: str) -> FieldReport:
        report = self.store.require(FieldReport, id, "field report")
        if report.state != FIELD_REPORT_STATE_ROUTED:
            raise FailedPrecondition("the field report stands ANSWERED, and that is final", allowed=["ROUTED"])
        return report
