"""Pages through quarantined events, newest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mesh.errors import InvalidArgument
from mesh.store import Documents
from services.exchange.documents import Quarantined

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def page(store: Documents, token: str, size: int) -> tuple[list[Quarantined], str]:
    """Returns some quarantined events and the token of the next page. Raises InvalidArgument for a foreign token."""
    after = {"__raw__": _behind(token)} if token else {}
    found = store.find(Quarantined, order_by=("-at", "-id"), limit=size + 1, **after)
    return found[:size], _token(found[size - 1]) if len(found) > size else ""


def _token(last: Quarantined) -> str:
    at = last.at if last.at.tzinfo else last.at.replace(tzinfo=UTC)
    return f"{(at - _EPOCH) // _MILLISECOND}|{last.id}"


def _behind(token: str) -> dict[str, object]:
    milliseconds, _, id = token.partition("|")
    if not (milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) < 15):
        raise InvalidArgument.field("page_token", "expects the next_page_token of the page before")
    at = _EPOCH + int(milliseconds) * _MILLISECOND
    return {"$or": [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": id}}]}
