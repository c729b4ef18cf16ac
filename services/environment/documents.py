"""Documents of the sector. Concentrations are pg/m³, hours are counted from 1970-01-01T00:00Z, `_ms` is Unix time."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from mongoengine import BooleanField, FloatField, IntField, LongField, StringField
from mongoengine.base import BaseField

from mesh import Document

NEVER_MS = 2**53
"""Later than every due time."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RecordField(BaseField):
    """A flat mapping, stored as it is. MongoEngine's DictField wraps each value (ADR-0013)."""

    def to_mongo(self, value: Any, *_: Any, **__: Any) -> Any:
        return dict(value)

    def to_python(self, value: Any) -> Any:
        return dict(value)


class RowsField(BaseField):
    """A list of flat mappings, stored as it is."""

    def to_mongo(self, value: Any, *_: Any, **__: Any) -> Any:
        return list(value)

    def to_python(self, value: Any) -> Any:
        return list(value)


class MomentsField(BaseField):
    """A set of milliseconds of one hour, four bytes each: with every millisecond of the hour it fits a document."""

    def to_mongo(self, value: Any, *_: Any, **__: Any) -> Any:
        return struct.pack(f"<{len(value)}I", *sorted(value))

    def to_python(self, value: Any) -> Any:
        return set(struct.unpack(f"<{len(value) // 4}I", value) if isinstance(value, bytes) else value)


class Station(Document):
    """A place where air is measured."""

    id = StringField(primary_key=True)
    name = StringField(required=True)
    latitude = FloatField(required=True)
    longitude = FloatField(required=True)
    commune_code = StringField()
    meta = {"collection": "stations"}


class Readings(Document):
    """What a station reported of one hour in one call. Which moments are known is told by the hour, not by these."""

    id = StringField(primary_key=True)
    station_id = StringField(required=True)
    received_at_ms = LongField(required=True)
    rows = RowsField(default=list)
    """In the order they came, each as reported: `observed_at_ms`, µg/m³ by pollutant, `temperature_c`,
    `humidity_percent`; and its quality `flags` separated by spaces, where it has any."""
    meta = {"collection": "readings"}


class Hour(Document):
    """One hour of one station: running sums, and what was published of it."""

    id = StringField(primary_key=True)
    station_id = StringField(required=True)
    hour = LongField(required=True)
    heard = MomentsField(default=set)
    """Moments of its readings, in milliseconds after its start: a second reading of one is a duplicate."""
    sums = RecordField(default=dict)
    """Sum by pollutant of what entered the means."""
    counts = RecordField(default=dict)
    """How many, by pollutant."""
    used = IntField(default=0)
    flagged = IntField(default=0)
    revision = IntField(default=0)
    """0 while the hour is open."""
    index = IntField()
    """As published; None when there is none."""
    pollutant = StringField()
    alert_level = IntField()
    """VN_AQI it had to pass, set when it closes: road works heard of later judge it no more."""
    alert = RecordField(default=dict)
    """The alert's state after this hour; empty when the fold has not passed it."""
    meta = {"collection": "hours", "indexes": [("station_id", "hour")]}

    def add(self, readings: Iterable[Mapping[str, int]]) -> None:
        """Lets what is sound of readings enter the means."""
        sums, counts, used = self.sums, self.counts, 0
        for values in readings:
            used += 1
            for pollutant, value in values.items():
                sums[pollutant] = sums.get(pollutant, 0) + value
                counts[pollutant] = counts.get(pollutant, 0) + 1
        self.used += used


class Watch(Document):
    """What the next reading of a station is judged by. One for each station that has reported."""

    id = StringField(primary_key=True)
    latest_distinct_ms = LongField()
    sound_at_ms = LongField()
    sound_values = RecordField(default=dict)
    latest_hour = LongField()
    """The latest hour with a reading."""
    has_open_hour = BooleanField(default=False)
    """Whether the latest hour is still open."""
    latest_closed_hour = LongField()
    particles = RecordField(default=dict)
    """Means of PM2.5 and PM10 by hour, for the closed hours that NowCast still looks at."""
    alert = RecordField(default=dict)
    """The alert as published."""
    silent = BooleanField(default=False)
    """Whether the clock lifted the alert, after the latest closed hour."""
    dust = RecordField(default=dict)
    """Spans of road works near the station by restriction id, as `dust_level` takes them."""
    received_at_ms = LongField(default=0)
    due_at_ms = LongField(default=NEVER_MS)
    """When the clock closes the open hour or lifts the alert, whichever is first."""
    meta = {"collection": "watches", "indexes": ["has_open_hour", "due_at_ms"]}


def readings_id(station_id: str, at_ms: int) -> str:
    """Id of readings that came together: station and moment of the first. No moment is kept twice."""
    return f"{station_id}|{(_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec='milliseconds')}"


def hour_id(station_id: str, hour: int) -> str:
    """Id of an hour: station and start."""
    return f"{station_id}|{_start(hour)}"


@lru_cache(maxsize=4096)
def _start(hour: int) -> str:
    """Stations of a call report the same hours."""
    return (_EPOCH + timedelta(hours=hour)).isoformat(timespec="hours")
