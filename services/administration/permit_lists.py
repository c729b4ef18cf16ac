"""Pages of permits."""

from __future__ import annotations

from typing import Any

from lienthong.administration import v1
from lienthong.administration.v1 import PERMIT_STATE_EXPIRED, PERMIT_STATE_GRANTED
from mesh.pages import given, page_by_id
from mesh.store import Documents
from mesh.times import to_ms
from services.administration.documents_permits import Permit
from services.administration.permit_messages import permit_message


def list_permits(store: Documents, request: v1.ListPermitsRequest, now_ms: int) -> v1.ListPermitsResponse:
    """A page of permits; its token is the last id."""
    permits, token = page_by_id(store, Permit, request, **_filters(request, now_ms))
    return v1.ListPermitsResponse(permits=[permit_message(permit, now_ms) for permit in permits], next_page_token=token)


def _filters(request: v1.ListPermitsRequest, now_ms: int) -> dict[str, Any]:
    """The request as a query over what is kept, where GRANTED is also what the clock calls EXPIRED."""
    filters = given(kind=request.kind, state=request.state, segment_ids=request.segment_id)
    ends_after = []
    if request.state == PERMIT_STATE_EXPIRED:
        filters |= {"state": PERMIT_STATE_GRANTED, "until_ms__lte": now_ms}
    elif request.state == PERMIT_STATE_GRANTED:
        ends_after.append(now_ms)
    if request.HasField("active_at"):
        at_ms = to_ms(request.active_at)
        filters |= {"state__in": [PERMIT_STATE_GRANTED], "from_ms__lte": at_ms}
        ends_after.append(at_ms)
    if ends_after:
        filters["until_ms__gt"] = max(ends_after)
    return filters
