"""Pages of a list that is in memory; the token of a page is how many came before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from mesh.errors import InvalidArgument

PAGE: Final = 100

T = TypeVar("T")


def page(found: Sequence[T], size: int, token: str) -> tuple[Sequence[T], str]:
    """Returns a page and the token of the next one, empty on the last. Raises `InvalidArgument` for a foreign token."""
    if token and not token.isdecimal():
        raise InvalidArgument.field("page_token", "must be the next_page_token of the page before", rule="page_token")
    start, end = int(token or 0), int(token or 0) + (size or PAGE)
    return found[start:end], str(end) if end < len(found) else ""
