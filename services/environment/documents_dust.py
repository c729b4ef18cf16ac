"""Documents of dust watches; `_ms` is Unix time."""

from __future__ import annotations

from mongoengine import IntField, ListField, LongField, StringField

from mesh import Document
from services.environment.documents import RecordField


class DustWatch(Document):
    """Road works, and the air stations whose alert level they tighten. Its id is that of the road restriction."""

    id = StringField(primary_key=True)
    station_ids = ListField(StringField())
    lines = RecordField(default=dict)
    """Latitude and longitude of the points of each segment, while it stands: a station may still be placed there."""
    from_ms = LongField()
    until_ms = LongField()
    """`NEVER_MS` when the end is not known."""
    state = IntField(default=0)
    """A `lienthong.environment.v1.DustWatchState`; 0 when the end was heard of before the beginning."""
    alert_index = IntField()
    key_revision = LongField(required=True)
    """Of the last event it followed; lower ones come late and undo nothing."""
    causation_id = StringField(required=True)
    """`ce-id` of that event."""
    meta = {"collection": "dust_watches", "indexes": ["station_ids", "state"]}


class StandingWorks(Document):
    """The road works that stand, as one thing to agree on.

    Whoever places a station and whoever looks for stations near road works writes it, so neither misses the other.
    It names the watches, so placing a station queries nothing: many can be placed in one run.
    """

    id = StringField(primary_key=True)
    watch_ids = ListField(StringField())
    meta = {"collection": "standing_works"}
