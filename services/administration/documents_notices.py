"""What is kept of notices; `_ms` is Unix time in milliseconds."""

from __future__ import annotations

from uuid import UUID, uuid5

from mongoengine import FloatField, IntField, LongField, StringField

from mesh import Document

_NOTICES = UUID("c2f4a8d6-1b7e-5f39-a6c0-94d2e57b30f8")

NOTHING_SAID = 0
"""State of a notice that was never published: its happening ended before it was heard of, or has nothing to tell."""


class Notice(Document):
    """What the public is told of one happening; kept from the first event of the happening on."""

    id = StringField(primary_key=True)
    origin = StringField(required=True)
    topic = StringField(required=True)
    key = StringField(required=True)
    state = IntField(default=NOTHING_SAID)
    """A `lienthong.administration.v1.NoticeState`."""
    kind = IntField(default=0)
    severity = IntField(default=0)
    headline = StringField()
    text = StringField()
    latitude = FloatField()
    longitude = FloatField()
    revision = IntField(default=0)
    """One more with each event of the notice."""
    published_at_ms = LongField()
    updated_at_ms = LongField()
    withdrawn_at_ms = LongField()
    causation_id = StringField()
    """`ce-id` of the event that last changed what is said."""
    key_revision = LongField(default=0)
    """Of the last event it followed; the same and lower ones come late and change nothing."""
    meta = {"collection": "notices", "indexes": ["state", "origin"]}


def notice_id(origin: str, topic: str, key: str) -> str:
    """Id of the notice of a happening, as `da-nang`, `environment/flood_alarm`, `ai-nghia`."""
    return uuid5(_NOTICES, f"{origin}/{topic}/{key}").hex
