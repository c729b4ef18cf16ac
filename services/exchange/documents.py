"""What the exchange stores: agreements, the grants of the ACTIVE ones, and quarantined events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from lienthong.exchange.v1 import Agreement, QuarantinedEvent
from mongoengine import BinaryField, DateTimeField, LongField, MapField, StringField

from mesh import Document
from mesh.events import Event, to_headers
from services.exchange.admission import Crossing
from services.exchange.agreement import State, state_of, terms, valid_until


class AgreementDocument(Document):
    """One agreement, kept by both its parties.

    Every event it carries writes here too, so a revocation that wins makes the event's unit fail.
    """

    id = StringField(primary_key=True)
    provider = StringField(required=True)
    recipient = StringField(required=True)
    state = StringField(required=True, choices=[str(state) for state in State])
    valid_until = DateTimeField(required=True)
    changed_at = DateTimeField(required=True)
    carried = LongField(default=0, min_value=0)
    terms = BinaryField(required=True)

    meta: ClassVar = {"collection": "agreements", "indexes": ["state", "valid_until"]}

    @classmethod
    def of(cls, agreement: Agreement) -> AgreementDocument:
        """Returns the document of an agreement that has been moved at least once."""
        return cls(
            id=agreement.id,
            provider=agreement.provider,
            recipient=agreement.recipient,
            state=str(state_of(agreement)),
            valid_until=valid_until(agreement),
            changed_at=agreement.changed_at.ToDatetime(tzinfo=UTC),
            carried=agreement.carried,
            terms=terms(agreement),
        )

    def agreement(self) -> Agreement:
        """Returns the agreement as the contract has it."""
        agreement = Agreement.FromString(self.terms)
        agreement.state = State(self.state).number
        agreement.changed_at.FromDatetime(self.changed_at)
        agreement.carried = self.carried
        return agreement


class Grant(Document):
    """Says which ACTIVE agreement shares an event type between two localities; see `agreement.grant_id`."""

    id = StringField(primary_key=True)
    agreement = StringField(required=True)

    meta: ClassVar = {"collection": "grants"}


class Quarantined(Document):
    """An event that no agreement allows, kept whole for inspection. It arrives once per agreement and event id."""

    id = StringField(primary_key=True)
    provider = StringField(required=True)
    agreement = StringField(required=True)
    type = StringField(required=True)
    reason = StringField(required=True)
    at = DateTimeField(required=True)
    expire_at = DateTimeField(required=True)
    headers = MapField(StringField())
    data = BinaryField()

    meta: ClassVar = {
        "collection": "quarantine",
        "indexes": ["-at", {"fields": ["expire_at"], "expireAfterSeconds": 0}],
    }

    @classmethod
    def of(cls, crossing: Crossing, event: Event, reason: str, now: datetime, keep: timedelta) -> Quarantined:
        """Returns the document of an event refused at `now`."""
        return cls(
            id=f"{crossing.provider}|{crossing.agreement}|{event.id}",
            provider=crossing.provider,
            agreement=crossing.agreement,
            type=event.type,
            reason=reason,
            at=now,
            expire_at=now + keep,
            headers=to_headers(event),
            data=event.data,
        )

    def event(self) -> QuarantinedEvent:
        """Returns what an operator is shown: never the data."""
        shown = QuarantinedEvent(
            id=self.id, provider=self.provider, agreement=self.agreement, type=self.type, reason=self.reason
        )
        shown.at.FromDatetime(self.at)
        return shown
