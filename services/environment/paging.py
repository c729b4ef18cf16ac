"""Pages of documents by id: a page's token is its last id."""

from __future__ import annotations

from typing import Any, Final

from mesh.store import D, Documents

PAGE: Final = 100


def page_by_id(store: Documents, model: type[D], request: Any, **filters: Any) -> tuple[list[D], str]:
    """The documents of the page a request asks for, and the token of the next one, empty on the last."""
    size = request.page_size or PAGE
    found = store.find(model, id__gt=request.page_token, order_by=("id",), limit=size + 1, **filters)
    return found[:size], found[size - 1].pk if len(found) > size else ""
