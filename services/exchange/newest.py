"""Pages through what happened, newest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from mesh.pages import PAGE, foreign_token, page
from mesh.store import D, Documents

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def newest(store: Documents, model: type[D], request: Any, **filters: Any) -> tuple[list[D], str]:
    """Returns the page a request asks for of documents with a time `at`, and the token of the next.

    Raises InvalidArgument for a foreign token.
    """
    size = request.page_size or PAGE
    after = {"__raw__": _behind(request.page_token)} if request.page_token else {}
    found = store.find(model, order_by=("-at", "-id"), limit=size + 1, **after, **filters)
    return page(found, size, _token)


def _token(last: Any) -> str:
    at = last.at if last.at.tzinfo else last.at.replace(tzinfo=UTC)
    return f"{(at - _EPOCH) // _MILLISECOND}|{last.id}"


def _behind(token: str) -> dict[str, object]:
    milliseconds, _, id = token.partition("|")
    if not (milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) < 15):
        raise foreign_token()
    at = _EPOCH + int(milliseconds) * _MILLISECOND
    return {"$or": [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": id}}]}
