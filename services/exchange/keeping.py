"""Keeps what a verb of an agreement's life has decided, together with the grants it claims and releases."""

from __future__ import annotations

from collections.abc import Iterable

from lienthong.exchange.v1 import Agreement
from mesh.store import Documents
from services.exchange.agreement import grant_ids
from services.exchange.documents import AgreementDocument, Grant
from services.exchange.lifecycle import Change


def holders(store: Documents, agreement: Agreement) -> dict[str, str]:
    """Returns which agreement holds each grant that exists of those an agreement needs, by grant."""
    return {id: grant.agreement for id, grant in store.get_many(Grant, grant_ids(agreement)).items()}


def keep(store: Documents, change: Change, before: AgreementDocument | None) -> Agreement:
    """Stages a change; `before` is what it was decided over. Returns the agreement as it now is."""
    if not change.moved and before is not None:
        return before.agreement()
    document = AgreementDocument.of(change.agreement, before)
    store.put(document)
    _release(store, change.releases, document.id)
    for id in change.claims:
        store.put(Grant(id=id, agreement=document.id))
    return document.agreement()


def _release(store: Documents, ids: Iterable[str], agreement: str) -> None:
    for grant in store.get_many(Grant, ids).values():
        if grant.agreement == agreement:
            store.delete(grant)
