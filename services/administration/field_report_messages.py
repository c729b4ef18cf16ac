"""Field reports as messages of the contract."""

from __future__ import annotations

from lienthong.administration import v1
from mesh.times import timestamp
from services.administration.documents_reports import FieldReport


def field_report_message(report: FieldReport) -> v1.FieldReport:
    """A report as callers see it, without the citizen: answers of writes are kept, and lists go to many."""
    return v1.FieldReport(
        id=report.id,
        category=report.category,
        sector=report.sector,
        location=_location(report),
        photo_ref=report.photo_ref,
        state=report.state,
        filed_at=timestamp(report.filed_at_ms),
        answered_at=timestamp(report.answered_at_ms),
        answer=report.answer,
        answered_by=report.sector if report.answer else None,
    )


def field_report_with_citizen(report: FieldReport) -> v1.FieldReport:
    """A report as one who asks for this one sees it: with the citizen's words and how to reach them."""
    message = field_report_message(report)
    message.description, message.contact = report.description, report.contact or ""
    return message


def routed(report: FieldReport) -> v1.FieldReportRouted:
    """The event of a report that came to a sector."""
    return v1.FieldReportRouted(
        report_id=report.id,
        category=report.category,
        sector=report.sector,
        location=_location(report),
        photo_ref=report.photo_ref,
        filed_at=timestamp(report.filed_at_ms),
        routed_at=timestamp(report.routed_at_ms),
    )


def answered(report: FieldReport) -> v1.FieldReportAnswered:
    """The event of a report answered."""
    return v1.FieldReportAnswered(
        report_id=report.id,
        category=report.category,
        answered_by=report.sector,
        filed_at=timestamp(report.filed_at_ms),
        answered_at=timestamp(report.answered_at_ms),
    )


def _location(report: FieldReport) -> v1.Location:
    return v1.Location(latitude=report.latitude, longitude=report.longitude)
