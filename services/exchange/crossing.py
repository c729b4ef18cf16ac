"""One event on its way across the border: what is staged when it leaves, when it is let in, when it is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from lienthong.exchange.v1 import Agreement
from mesh.events import Event, catalogue
from mesh.store import Documents
from mesh.telemetry import inject
from services.exchange.admission import Crossing, leaves, reason_to_quarantine
from services.exchange.agreement import fields_of
from services.exchange.documents import Admitted, AgreementDocument, Quarantined, Tally
from services.exchange.projection import projected, projection, union
from services.exchange.settings import ExchangeSettings

Leaving = tuple[Event, str]
"""An event as it is shared, and the recipient."""


def leaving(store: Documents, agreement_id: str, event: Event, here: str, now: datetime) -> Leaving | None:
    """Returns the event as it is shared under an agreement, and with whom; None where it stays."""
    document = store.get(AgreementDocument, agreement_id)
    if document is None or not leaves(agreement := document.agreement(), event, here, now):
        return None
    fields = fields_of(agreement, event.type)
    assert fields is not None, "leaves() said the type is shared"
    return _traced(projected(event, catalogue()[event.type], fields, agreement_id)), document.recipient


def arriving(
    store: Documents,
    crossing: Crossing,
    event: Event,
    *,
    here: str,
    shared_at: datetime,
    now: datetime,
    settings: ExchangeSettings,
) -> Event | None:
    """Returns an arrived event as it is logged here; None where it is quarantined, or was let in before."""
    document = store.get(AgreementDocument, crossing.agreement)
    agreement = document and document.agreement()
    event_type = catalogue().get(event.type)
    reason = reason_to_quarantine(agreement, crossing, event, event_type, here, shared_at)
    if reason is not None:
        _quarantine(store, crossing, event, reason, now, timedelta(days=settings.quarantine_keep_days))
        return None
    assert agreement is not None, "an event without an agreement has a reason to be quarantined"
    tally = store.get(Tally, crossing.line) or Tally(id=crossing.line, agreement=agreement.id)
    id = Admitted.id_of(crossing.line, event)
    if event.origin_sequence <= tally.highest and store.get(Admitted, id) is not None:
        return None
    store.put(Admitted(id=id, expire_at=now + timedelta(days=settings.admitted_keep_days)))
    tally.count(event)
    store.put(tally)
    return _traced(_admitted(event, agreement))


def _admitted(event: Event, agreement: Agreement) -> Event:
    """What the agreement withholds is named even if the provider's contract, or this one's, is older."""
    allowed = projection(catalogue()[event.type], fields_of(agreement, event.type) or ())
    return replace(event, agreement=agreement.id, withheld=union(event.withheld, allowed.withheld))


def _quarantine(
    store: Documents, crossing: Crossing, event: Event, reason: str, now: datetime, keep: timedelta
) -> None:
    # Looked up first: what was never read is taken to be absent.
    if store.get(Quarantined, Quarantined.id_of(crossing, event)) is None:
        store.put(Quarantined.of(crossing, event, reason, now, keep))


def _traced(event: Event) -> Event:
    """The border is a hop: what reads the event next is a child of this handler's span."""
    traceparent, tracestate = inject()
    return replace(event, traceparent=traceparent, tracestate=tracestate) if traceparent else event
