"""Pages of a list: what was found, cut to its size, with the token under which the next page begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mesh.errors import InvalidArgument
from mesh.store import D, Documents

PAGE = 100
"""Entries of a page when the caller asks for no number."""

T = TypeVar("T")


def page(found: list[T], size: int, token: Callable[[T], str]) -> tuple[list[T], str]:
    """Returns one page and the next one's token, empty after the last.

    `found` is what lies behind the page before, up to one entry more than `size`: it tells whether there is a next
    page, so that a list whose length is a multiple of the size ends without an empty one. `token` names the entry
    behind which the next page begins.
    """
    shown = found[:size]
    return shown, token(shown[-1]) if len(found) > size else ""


def page_by_id(store: Documents, model: type[D], request: Any, **filters: Any) -> tuple[list[D], str]:
    """The documents of the page a request asks for, by id; a page's token is its last id.

    `filters` in MongoEngine's syntax; the request has `page_size` and `page_token`.
    """
    size = request.page_size or PAGE
    found = store.find(model, id__gt=request.page_token, order_by=("id",), limit=size + 1, **filters)
    return page(found, size, lambda document: str(document.pk))


def foreign_token() -> InvalidArgument:
    """What to raise for a token that no page has given."""
    return InvalidArgument.field("page_token", "must be the next_page_token of the page before", rule="page_token")
