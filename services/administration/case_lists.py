"""One case, and pages of them."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from lienthong.administration import v1
from mesh.errors import InvalidArgument
from mesh.store import Documents
from services.administration.agency_code import agency_code
from services.administration.case_messages import case_summary
from services.administration.documents import Case, case_id

PAGE: Final = 100


def asked_case(store: Documents, request: v1.GetCaseRequest) -> Case:
    """The case of an id or of a code."""
    if not (request.case_id or request.case_code):
        raise InvalidArgument.field("case_id", "must be given, or case_code", rule="required")
    return store.require(Case, request.case_id or case_id(request.case_code), "case")


def list_cases(store: Documents, request: v1.ListCasesRequest, today: date) -> v1.ListCasesResponse:
    """A page of cases; its token is the last code."""
    size = request.page_size or PAGE
    filters = _filters(request, today)
    found = store.find(Case, code__gt=request.page_token, order_by=("code",), limit=size + 1, **filters)
    token = found[size - 1].code if len(found) > size else ""
    return v1.ListCasesResponse(cases=[case_summary(case, today) for case in found[:size]], next_page_token=token)


def _filters(request: v1.ListCasesRequest, today: date) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "state": request.state,
        "agency_code": request.agency_code and agency_code(request.agency_code, "agency_code"),
        "filed_in": request.filed_in,
        "decided_in": request.decided_in,
    }
    filters = {name: value for name, value in wanted.items() if value}
    if request.overdue_only:
        filters |= {"due_day__gt": "", "due_day__lt": today.isoformat()}
    return filters
