"""What the exchange stores: agreements and the grants of the ACTIVE ones, what has crossed, and what was refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from mongoengine import BinaryField, DateTimeField, IntField, LongField, MapField, StringField

from lienthong.exchange.v1 import Agreement, QuarantinedEvent
from mesh import Document
from mesh.events import Event, to_headers
from services.exchange.admission import Crossing
from services.exchange.agreement import State, state_of, terms, valid_until


class AgreementDocument(Document):
    """One agreement, kept by both its parties.

    Every unit that lets an event cross reads it, and the commit checks what was read: a revocation that commits first
    makes the unit run again, and refuse.
    """

    id = StringField(primary_key=True)
    provider = StringField(required=True)
    recipient = StringField(required=True)
    state = StringField(required=True, choices=[str(state) for state in State])
    valid_until = DateTimeField(required=True)
    changed_at = DateTimeField(required=True)
    activation = IntField(default=0, min_value=0)
    """How often it has become ACTIVE."""
    activated_at = DateTimeField()
    terms = BinaryField(required=True)

    meta: ClassVar = {"collection": "agreements", "indexes": ["state", "valid_until"]}

    @classmethod
    def of(cls, agreement: Agreement, before: AgreementDocument | None = None) -> AgreementDocument:
        """Returns the document of an agreement that has just been moved; `before` is what was stored."""
        document = cls(
            id=agreement.id,
            provider=agreement.provider,
            recipient=agreement.recipient,
            state=str(state_of(agreement)),
            valid_until=valid_until(agreement),
            changed_at=agreement.changed_at.ToDatetime(tzinfo=UTC),
            activation=before.activation if before else 0,
            activated_at=before.activated_at if before else None,
            terms=terms(agreement),
        )
        if document.state == State.ACTIVE:
            document.activation += 1
            document.activated_at = document.changed_at
        return document

    @property
    def shares_events(self) -> bool:
        """Whether anything of it goes over the bus: an agreement may grant lookups alone."""
        return bool(self.agreement().events)

    def agreement(self, carried: int = 0) -> Agreement:
        """Returns the agreement as the contract has it."""
        agreement = Agreement.FromString(self.terms)
        agreement.state = State(self.state).number
        agreement.changed_at.FromDatetime(self.changed_at)
        agreement.carried = carried
        return agreement


class Grant(Document):
    """Says which ACTIVE agreement grants an event type or a lookup between two localities; see `agreement.grant_id`."""

    id = StringField(primary_key=True)
    agreement = StringField(required=True)

    meta: ClassVar = {"collection": "grants"}


class Tally(Document):
    """How many events of one share line were admitted. At the provider the numbers of the share log tell how many left.

    A line's events are handled by one reader, so counting by line collides with nobody.
    """

    id = StringField(primary_key=True)
    agreement = StringField(required=True)
    carried = LongField(default=0, min_value=0)
    highest = LongField(default=0, min_value=0)
    """Highest number at birth that was carried: an event above it has not been carried before."""

    meta: ClassVar = {"collection": "tallies", "indexes": ["agreement"]}

    def count(self, event: Event) -> None:
        """Counts one more."""
        self.carried += 1
        self.highest = max(self.highest, event.origin_sequence)


class Admitted(Document):
    """Remembers an event that was admitted: one that is shared again, under another number, is let in no second time.

    A provider whose exchange was restored from an older copy shares again what it has shared.
    """

    id = StringField(primary_key=True)
    expire_at = DateTimeField(required=True)

    meta: ClassVar = {"collection": "admitted", "indexes": [{"fields": ["expire_at"], "expireAfterSeconds": 0}]}

    @staticmethod
    def id_of(line: str, event: Event) -> str:
        """The number at birth tells an event from all others of its line."""
        return f"{line}|{event.origin_sequence}"


class Receipt(Document):
    """How far the recipient of an agreement has committed its lines; the id is the agreement's."""

    id = StringField(primary_key=True)
    sequences = MapField(LongField())

    meta: ClassVar = {"collection": "receipts"}

    def advance(self, sequences: Mapping[str, int]) -> bool:
        """Takes over what is higher than what is known, by line; returns whether anything is."""
        higher = {line: n for line, n in sequences.items() if n > self.sequences.get(line, 0)}
        self.sequences.update(higher)
        return bool(higher)


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
            id=cls.id_of(crossing, event),
            provider=crossing.provider,
            agreement=crossing.agreement,
            type=event.type,
            reason=reason,
            at=now,
            expire_at=now + keep,
            headers=to_headers(event),
            data=event.data,
        )

    @staticmethod
    def id_of(crossing: Crossing, event: Event) -> str:
        """The same event refused again is the same document."""
        return f"{crossing.provider}|{crossing.agreement}|{event.id}"

    def event(self) -> QuarantinedEvent:
        """Returns what an operator is shown: never the data."""
        shown = QuarantinedEvent(
            id=self.id, provider=self.provider, agreement=self.agreement, type=self.type, reason=self.reason
        )
        shown.at.FromDatetime(self.at)
        return shown
