"""Documents of cases and of what is counted of them; `_ms` is Unix time, days are `YYYY-MM-DD` in Asia/Ho_Chi_Minh."""

from __future__ import annotations

from uuid import UUID, uuid5

from mongoengine import EmbeddedDocument, EmbeddedDocumentListField, IntField, LongField, StringField

from mesh import Document

_CASES = UUID("5b0f7c3a-1d0e-5c58-9a41-2c9e6f4f7d21")


class Move(EmbeddedDocument):
    """One move of a case."""

    number = IntField(required=True)
    """Moves of the case so far, this one included."""
    from_state = IntField(required=True)
    to_state = IntField(required=True)
    moved_at_ms = LongField(required=True)


class Case(Document):
    """A request of a citizen, where it was filed and where it is decided."""

    id = StringField(primary_key=True)
    code = StringField(required=True)
    procedure_code = StringField(required=True)
    channel = IntField(required=True)
    received_by = StringField(required=True)
    agency_code = StringField(required=True)
    filed_in = StringField(required=True)
    decided_in = StringField(required=True)
    applicant_ref = StringField(default="")
    """Empty where it was filed elsewhere: it does not cross."""
    state = IntField(required=True)
    """A `lienthong.administration.v1.CaseState`."""
    filed_at_ms = LongField(required=True)
    deadline_day = StringField(default="")
    paused_working_days = IntField(default=0)
    due_day = StringField(default="")
    """Day after which it is late; empty while it waits, stands in time, or is over."""
    punctuality = IntField(default=0)
    """As it was processed; a `lienthong.administration.v1.Punctuality`."""
    moves = EmbeddedDocumentListField(Move)
    """By number. Complete where it is decided; where it was filed, those that came."""
    meta = {
        "collection": "cases",
        "indexes": [
            "code",
            ("agency_code", "code"),
            ("filed_in", "code"),
            ("decided_in", "code"),
            ("state", "code"),
            "due_day",
        ],
    }

    def became(self, state: int) -> int | None:
        """When it first came to a state, in Unix milliseconds; None before."""
        return next((move.moved_at_ms for move in self.moves if move.to_state == state), None)

    @property
    def changed_at_ms(self) -> int:
        """When its state last changed."""
        return int(self.moves[-1].moved_at_ms if self.moves else self.filed_at_ms)


class CaseNumber(Document):
    """The last number an agency gave on one day; `_id` is `<agency>|<yymmdd>`."""

    id = StringField(primary_key=True)
    last = IntField(required=True)
    meta = {"collection": "case_numbers"}


class Agency(Document):
    """An agency that decides cases here, and how many it has at hand."""

    id = StringField(primary_key=True)
    open = IntField(default=0)
    """Accepted, and neither processed nor withdrawn."""
    paused = IntField(default=0)
    """Those of them whose clock stands."""
    meta = {"collection": "agencies"}


class AgencyDay(Document):
    """One day of an agency."""

    id = StringField(primary_key=True)
    agency_code = StringField(required=True)
    day = StringField(required=True)
    early = IntField(default=0)
    """Cases processed on this day, before that of their deadline."""
    on_time = IntField(default=0)
    """On that of their deadline."""
    late = IntField(default=0)
    """After it."""
    due = IntField(default=0)
    """Open cases that are late once this day is over."""
    meta = {"collection": "agency_days", "indexes": [("agency_code", "day")]}


def case_id(code: str) -> str:
    """Id of a case: that of its code, so the same in both localities that know it."""
    return uuid5(_CASES, code).hex


def agency_day_id(agency_code: str, day: str) -> str:
    """Id of an agency's day."""
    return f"{agency_code}|{day}"
