"""Pages of permits."""

from __future__ import annotations

from typing import Any, Final

from lienthong.administration import v1
from lienthong.administration.v1 import PERMIT_STATE_EXPIRED, PERMIT_STATE_GRANTED
from mesh.store import Documents
from services.administration.documents_permits import Permit
from services.administration.permit_messages import permit_message
from services.administration.times import to_ms

PAGE: Final = 100


def list_permits(store: Documents, request: v1.ListPermitsRequest, now_ms: int) -> v1.ListPermitsResponse:
    """A page of permits; its token is the last id."""
    size = request.page_size or PAGE
    filters = _filters(request, now_ms)
    found = store.find(Permit, id__gt=request.page_token, order_by=("id",), limit=size + 1, **filters)
    token = found[size - 1].id if len(found) > size else ""
    return v1.ListPermitsResponse(
        permits=[permit_message(permit, now_ms) for permit in found[:size]], next_page_token=token
    )


def _filters(request: v1.ListPermitsRequest, now_ms: int) -> dict[str, Any]:
    """The request as a query over what is kept, where GRANTED is also what the clock calls EXPIRED."""
    equal = {"kind": request.kind, "state": request.state, "segment_ids": request.segment_id}
    filters: dict[str, Any] = {name: value for name, value in equal.items() if value}
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
