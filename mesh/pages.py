"""Pages of a list: what was found, cut to its size, with the token under which the next page begins."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from mesh.errors import InvalidArgument
from mesh.store import D, Documents

PAGE = 100
"""Entries of a page when the caller asks for no number."""

_COUNT: Final = re.compile(r"[0-9]{0,9}")

T = TypeVar("T")


def page(found: list[T], size: int, token: Callable[[T], str]) -> tuple[list[T], str]:
    """Returns one page and the next one's token, empty after the last.

    `found` is what lies behind the page before, up to one entry more than `size`: it tells whether there is a next
    page, so that a list whose length is a multiple of the size ends without an empty one. `token` names the entry
    behind which the next page begins.
    """
    shown = found[:size]
    return shown, token(shown[-1]) if len(found) > size else ""


def page_by(field: str, store: Documents, model: type[D], request: Any, **filters: Any) -> tuple[list[D], str]:
    """The documents of the page a request asks for, in order of a field of text; a page's token is its last value.

    No two documents that pass the filters may have the same value. `filters` in MongoEngine's syntax; the request has
    `page_size` and `page_token`.
    """
    size = request.page_size or PAGE
    behind = {f"{field}__gt": request.page_token}
    found = store.find(model, order_by=(field,), limit=size + 1, **behind, **filters)
    return page(found, size, lambda document: str(getattr(document, field)))


def page_by_id(store: Documents, model: type[D], request: Any, **filters: Any) -> tuple[list[D], str]:
    """As `page_by`, in order of ids."""
    return page_by("id", store, model, request, **filters)


def page_in_memory(entries: Sequence[T], request: Any) -> tuple[Sequence[T], str]:
    """The page a request asks for of a list that does not change; a token is how many came before.

    Raises `InvalidArgument` for a foreign token.
    """
    if not _COUNT.fullmatch(request.page_token):
        raise foreign_token()
    start = int(request.page_token or 0)
    end = start + (request.page_size or PAGE)
    return entries[start:end], str(end) if end < len(entries) else ""


def given(**filters: Any) -> dict[str, Any]:
    """Those filters of a request that say something: what is empty, 0 or UNSPECIFIED asks for all."""
    return {name: value for name, value in filters.items() if value}


def foreign_token() -> InvalidArgument:
    """What to raise for a token that no page has given."""
    return InvalidArgument.field("page_token", "must be the next_page_token of the page before", rule="page_token")
