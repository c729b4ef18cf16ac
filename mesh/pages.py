"""Pages of a list: what was found, cut to its size, with the token under which the next page begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mesh.errors import InvalidArgument

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


def foreign_token() -> InvalidArgument:
    """What to raise for a token that no page has given."""
    return InvalidArgument.field("page_token", "must be the next_page_token of the page before", rule="page_token")
