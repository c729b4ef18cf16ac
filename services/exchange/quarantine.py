"""Pages through quarantined events, newest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mesh.pages import foreign_token, page
from mesh.store import Documents
from services.exchange.documents import Quarantined

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def newest(store: Documents, token: str, size: int) -> tuple[list[Quarantined], str]:
    """Returns a page of quarantined events and the token of the next. Raises InvalidArgument for a foreign one."""
    after = {"__raw__": _behind(token)} if token else {}
    found = store.find(Quarantined, order_by=("-at", "-id"), limit=size + 1, **after)
    return page(found, size, _token)


def _token(last: Quarantined) -> str:
    at = last.at if last.at.tzinfo else last.at.replace(tzinfo=UTC)
    return f"{(at - _EPOCH) // _MILLISECOND}|{last.id}"


def _behind(token: str) -> dict[str, object]:
    milliseconds, _, id = token.partition("|")
    if not (milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) < 15):
        raise foreign_token()
    at = _EPOCH + int(milliseconds) * _MILLISECOND
    return {"$or": [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": id}}]}
