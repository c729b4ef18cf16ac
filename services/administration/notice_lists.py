"""One notice, and pages of them; what was never published is not shown."""

from __future__ import annotations

from typing import Any, Final

from lienthong.administration import v1
from mesh.errors import NotFound
from mesh.store import Documents
from services.administration.documents_notices import NOTHING_SAID, Notice
from services.administration.notice_messages import notice_message

PAGE: Final = 100


def get_notice(store: Documents, id: str) -> Notice:
    """A notice; raises NotFound when nothing was ever said."""
    notice = store.get(Notice, id)
    if notice is None or notice.state == NOTHING_SAID:
        raise NotFound("notice", id)
    return notice


def list_notices(store: Documents, request: v1.ListNoticesRequest) -> v1.ListNoticesResponse:
    """A page of notices; its token is the last id."""
    size = request.page_size or PAGE
    wanted: dict[str, Any] = {"state": request.state, "kind": request.kind, "origin": request.origin}
    filters = {name: value for name, value in wanted.items() if value}
    if not request.state:
        filters["state__gt"] = NOTHING_SAID
    found = store.find(Notice, id__gt=request.page_token, order_by=("id",), limit=size + 1, **filters)
    token = found[size - 1].id if len(found) > size else ""
    return v1.ListNoticesResponse(notices=map(notice_message, found[:size]), next_page_token=token)
