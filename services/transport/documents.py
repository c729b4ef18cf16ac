"""Documents of the sector. `_ms` is Unix time in milliseconds, points are `[longitude, latitude]` as in GeoJSON."""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

from mongoengine import (
    BooleanField,
    DictField,
    FloatField,
    IntField,
    LineStringField,
    ListField,
    LongField,
    StringField,
)

from mesh import Document

NEVER_MS: Final = 2**53
"""The end of what has no known end, later than every other time."""

_INCIDENTS: Final = UUID("0b0b5a9e-7f0b-5b63-9d0e-6c3a3f0f5d21")
_RESTRICTIONS: Final = UUID("5b4e6f52-2e0d-5d5a-8a5e-9f0e8f2c7a64")


class RoadSegment(Document):
    """A stretch of road."""

    id = StringField(primary_key=True)
    name = StringField(required=True)
    line = LineStringField(required=True)
    capacity_per_h = IntField(default=0)
    flood_prone = BooleanField(default=False)
    commune_code = StringField(default="")
    # "(" is MongoEngine's word for 2dsphere.
    meta = {"collection": "road_segments", "indexes": ["(line", "flood_prone"]}

    @property
    def points(self) -> list[list[float]]:
        """Its line; what was read is GeoJSON, what was just made may still be a list."""
        return self.line["coordinates"] if isinstance(self.line, dict) else self.line


class CongestionSample(Document):
    """How full one place was in one hour."""

    id = StringField(primary_key=True)
    segment_id = StringField(default="")
    """Empty for a whole province or city."""
    province_code = StringField(required=True)
    """As the source has it."""
    hour = LongField(required=True)
    """Hours since 1970-01-01T00:00Z."""
    at = StringField(required=True)
    """Hour and province code: sorts as lists are sorted."""
    congestion = FloatField(required=True)
    samples = IntField(default=0)
    coverage = FloatField(default=0.0)
    meta = {"collection": "congestion", "indexes": [("segment_id", "at")]}


class Incident(Document):
    """Something that happened on the road."""

    id = StringField(primary_key=True)
    cause = IntField(required=True)
    effect = IntField(required=True)
    severity = IntField(required=True)
    latitude = FloatField(required=True)
    longitude = FloatField(required=True)
    segment_ids = ListField(StringField())
    description = StringField(default="")
    """Personal: it may name people. It is in no list, event, log or error."""
    field_report_id = StringField(default="")
    state = IntField(required=True)
    """A `lienthong.transport.v1.IncidentState`."""
    reported_at_ms = LongField(required=True)
    changed_at_ms = LongField(required=True)
    cleared_at_ms = LongField()
    resolution = StringField(default="")
    meta = {"collection": "incidents", "indexes": ["state", "segment_ids", "cause"]}


class FollowedReport(Document):
    """What is known of a field report: which of its routings was last seen, and the incident it became here."""

    id = StringField(primary_key=True)
    incident_id = StringField(default="")
    """Empty while the report is with another sector."""
    key_revision = LongField(required=True)
    """Of the last event it followed; lower ones come late and undo nothing."""
    meta = {"collection": "followed_reports"}


class Restriction(Document):
    """What may not be driven where. One for each happening, so that the end of that ends one document."""

    id = StringField(primary_key=True)
    state = IntField(required=True)
    """A `lienthong.transport.v1.RestrictionState`; 0 when its happening never called for one."""
    cause = IntField(default=0)
    effect = IntField(default=0)
    severity = IntField(default=0)
    segments = ListField(DictField())
    """As they were when it was imposed or changed: `id`, `name`, `line`; by id."""
    segment_ids = ListField(StringField())
    vehicle_classes = ListField(IntField())
    """Empty for all."""
    from_ms = LongField(default=0)
    until_ms = LongField(default=NEVER_MS)
    note = StringField(default="")
    caused_by = DictField()
    """Fields of `lienthong.transport.v1.CausingEvent`; empty when it was imposed by hand."""
    cause_topic = StringField(default="")
    imposed_at_ms = LongField()
    changed_at_ms = LongField()
    lifted_at_ms = LongField()
    revision = IntField(default=0)
    key_revision = LongField(default=0)
    """Of the last event it followed; lower ones come late and undo nothing."""
    meta = {
        "collection": "restrictions",
        "indexes": ["segment_ids", ("state", "until_ms"), "cause", "effect", "cause_topic"],
    }


def congestion_id(segment_id: str, province_code: str, at: str) -> str:
    """Id of a sample: place and hour, so a second one is a duplicate."""
    return f"segment:{segment_id}|{at}" if segment_id else f"province:{province_code}|{at}"


def requested_incident_id(request_id: str) -> str:
    """Id of an incident somebody reports to us."""
    return uuid5(_INCIDENTS, request_id).hex


def reported_incident_id(report_id: str, key_revision: int) -> str:
    """Id of the incident a field report becomes each time it comes to us: cleared is final, so it is another then."""
    return uuid5(_INCIDENTS, f"field_report/{report_id}/{key_revision}").hex


def requested_restriction_id(request_id: str) -> str:
    """Id of a restriction imposed by hand."""
    return uuid5(_RESTRICTIONS, request_id).hex


def caused_restriction_id(origin: str, topic: str, key: str) -> str:
    """Id of the restriction that follows a happening, as `da-nang`, `environment/flood_alarm`, `ai-nghia`."""
    return uuid5(_RESTRICTIONS, f"{origin}/{topic}/{key}").hex
