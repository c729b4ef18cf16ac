"""What is kept of permits; `_ms` is Unix time in milliseconds."""

from __future__ import annotations

from uuid import UUID, uuid5

from mongoengine import BooleanField, FloatField, IntField, ListField, LongField, StringField

from mesh import Document

_PERMITS = UUID("5b3d5a0e-8f0c-5d58-9a5e-3d1f6c1b7a42")


class Permit(Document):
    """Leave to do what concerns others, or the application for it."""

    id = StringField(primary_key=True)
    kind = IntField(required=True)
    """A `lienthong.administration.v1.PermitKind`."""
    title = StringField(required=True)
    segment_ids = ListField(StringField())
    """In order, each once."""
    latitude = FloatField()
    longitude = FloatField()
    from_ms = LongField(required=True)
    until_ms = LongField(required=True)
    full_closure = BooleanField(default=False)
    applicant_ref = StringField(required=True)
    """Personal."""
    state = IntField(required=True)
    """A `PermitState`, never EXPIRED: that is for the clock to say."""
    applied_at_ms = LongField(required=True)
    granted_at_ms = LongField()
    cancelled_at_ms = LongField()
    revision = IntField(default=0)
    """0 before it is granted; one more with each of its events."""
    meta = {"collection": "permits", "indexes": ["segment_ids", ("state", "until_ms")]}


def permit_id(request_id: str) -> str:
    """Id of the permit that a request applies for."""
    return uuid5(_PERMITS, request_id).hex
