"""Pages of field reports."""

from __future__ import annotations

from lienthong.administration import v1
from mesh.pages import given, page_by_id
from mesh.store import Documents
from services.administration.documents_reports import FieldReport
from services.administration.field_report_messages import field_report_message


def list_field_reports(store: Documents, request: v1.ListFieldReportsRequest) -> v1.ListFieldReportsResponse:
    """A page of field reports; its token is the last id."""
    filters = given(state=request.state, sector=request.sector, category=request.category)
    reports, token = page_by_id(store, FieldReport, request, **filters)
    return v1.ListFieldReportsResponse(reports=map(field_report_message, reports), next_page_token=token)
