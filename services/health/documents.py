"""Documents of the sector; `_ms` is Unix time in milliseconds."""

from __future__ import annotations

from uuid import UUID, uuid5

from mongoengine import IntField, LongField, StringField

from mesh import Document

_ADVISORIES = UUID("7d0f3f6e-6e0c-5c0a-9c55-2f4f4a3f8b11")


class HealthAdvisory(Document):
    """Advice because of one station's alert."""

    id = StringField(primary_key=True)
    origin = StringField(required=True)
    station_id = StringField(required=True)
    state = IntField(required=True)
    """A `lienthong.health.v1.AdvisoryState`."""
    band = IntField(default=0)
    index = IntField(default=0)
    issued_at_ms = LongField()
    withdrawn_at_ms = LongField()
    key_revision = LongField(required=True)
    """Of the last event it followed; lower ones come late and undo nothing."""
    causation_id = StringField(required=True)
    """`ce-id` of that event."""
    meta = {"collection": "advisories", "indexes": ["state", "origin"]}


def advisory_id(origin: str, station_id: str) -> str:
    """Id of the advisory that follows a station's alert; station ids are unique in their locality only."""
    return uuid5(_ADVISORIES, f"{origin}/{station_id}").hex
