"""Pages of field reports."""

from __future__ import annotations

from typing import Any, Final

from lienthong.administration import v1
from mesh.store import Documents
from services.administration.documents_reports import FieldReport
from services.administration.field_report_messages import field_report_message

PAGE: Final = 100


def list_field_reports(store: Documents, request: v1.ListFieldReportsRequest) -> v1.ListFieldReportsResponse:
    """A page of field reports; its token is the last id."""
    size = request.page_size or PAGE
    wanted: dict[str, Any] = {"state": request.state, "sector": request.sector, "category": request.category}
    filters = {name: value for name, value in wanted.items() if value}
    found = store.find(FieldReport, id__gt=request.page_token, order_by=("id",), limit=size + 1, **filters)
    token = found[size - 1].id if len(found) > size else ""
    return v1.ListFieldReportsResponse(reports=map(field_report_message, found[:size]), next_page_token=token)
