"""One case, and pages of them."""

from __future__ import annotations

from datetime import date
from typing import Any

from lienthong.administration import v1
from mesh.errors import InvalidArgument
from mesh.pages import given, page_by
from mesh.store import Documents
from services.administration.agency_code import agency_code
from services.administration.case_messages import case_summary
from services.administration.documents import Case, case_id


def asked_case(store: Documents, request: v1.GetCaseRequest) -> Case:
    """The case of an id or of a code."""
    if not (request.case_id or request.case_code):
        raise InvalidArgument.field("case_id", "must be given, or case_code", rule="required")
    return store.require(Case, request.case_id or case_id(request.case_code), "case")


def list_cases(store: Documents, request: v1.ListCasesRequest, today: date) -> v1.ListCasesResponse:
    """A page of cases; its token is the last code."""
    cases, token = page_by("code", store, Case, request, **_filters(request, today))
    return v1.ListCasesResponse(cases=[case_summary(case, today) for case in cases], next_page_token=token)


def _filters(request: v1.ListCasesRequest, today: date) -> dict[str, Any]:
    filters = given(
        state=request.state,
        agency_code=request.agency_code and agency_code(request.agency_code, "agency_code"),
        filed_in=request.filed_in,
        decided_in=request.decided_in,
    )
    if request.overdue_only:
        filters |= {"due_day__gt": "", "due_day__lt": today.isoformat()}
    return filters
