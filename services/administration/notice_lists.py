"""One notice, and pages of them; what was never published is not shown."""

from __future__ import annotations

from lienthong.administration import v1
from mesh.errors import NotFound
from mesh.pages import given, page_by_id
from mesh.store import Documents
from services.administration.documents_notices import NOTHING_SAID, Notice
from services.administration.notice_messages import notice_message


def get_notice(store: Documents, id: str) -> Notice:
    """A notice; raises NotFound when nothing was ever said."""
    notice = store.get(Notice, id)
    if notice is None or notice.state == NOTHING_SAID:
        raise NotFound("notice", id)
    return notice


def list_notices(store: Documents, request: v1.ListNoticesRequest) -> v1.ListNoticesResponse:
    """A page of notices; its token is the last id."""
    filters = given(state=request.state, kind=request.kind, origin=request.origin)
    if not request.state:
        filters["state__gt"] = NOTHING_SAID
    notices, token = page_by_id(store, Notice, request, **filters)
    return v1.ListNoticesResponse(notices=map(notice_message, notices), next_page_token=token)
