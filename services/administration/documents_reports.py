"""What is kept of field reports; `_ms` is Unix time in milliseconds."""

from __future__ import annotations

from uuid import UUID, uuid5

from mongoengine import FloatField, IntField, LongField, StringField

from mesh import Document

_FIELD_REPORTS = UUID("0c9d7f64-4e0a-5c0b-8d3e-7b1a2f9e6c15")


class FieldReport(Document):
    """What a citizen saw on the spot."""

    id = StringField(primary_key=True)
    category = IntField(required=True)
    """A `lienthong.administration.v1.ReportCategory`."""
    sector = IntField(required=True)
    """The `Sector` it is with."""
    latitude = FloatField(required=True)
    longitude = FloatField(required=True)
    description = StringField(required=True)
    """Personal."""
    photo_ref = StringField()
    contact = StringField()
    """Personal."""
    state = IntField(required=True)
    """A `FieldReportState`."""
    filed_at_ms = LongField(required=True)
    routed_at_ms = LongField(required=True)
    """When it came to that sector."""
    answered_at_ms = LongField()
    answer = StringField()
    meta = {"collection": "field_reports", "indexes": [("state", "sector"), "category"]}


def field_report_id(request_id: str) -> str:
    """Id of the field report that a request files."""
    return uuid5(_FIELD_REPORTS, request_id).hex
