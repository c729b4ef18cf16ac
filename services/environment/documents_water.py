"""Documents of water. Stages are whole millimetres above the station's own datum, `_ms` is Unix time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from mongoengine import FloatField, IntField, LongField, StringField

from mesh import Document
from services.environment.documents import RecordField

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class WaterStation(Document):
    """A gauge on a river, with the defaults of the day it was registered filled in."""

    id = StringField(primary_key=True)
    name = StringField(required=True)
    river = StringField(required=True)
    latitude = FloatField(required=True)
    longitude = FloatField(required=True)
    level_i_mm = IntField(required=True)
    level_ii_mm = IntField(required=True)
    level_iii_mm = IntField(required=True)
    rate_mm_per_h = IntField(required=True)
    hysteresis_mm = IntField(required=True)
    reach_m = FloatField(required=True)
    levels_source = StringField()
    meta = {"collection": "water_stations"}


class StageRecord(Document):
    """How high the water stood at one moment, as it was reported."""

    id = StringField(primary_key=True)
    station_id = StringField(required=True)
    observed_at_ms = LongField(required=True)
    received_at_ms = LongField(required=True)
    stage_mm = IntField(required=True)
    flag = IntField(default=0)
    """A `lienthong.environment.v1.StageFlag`; 0 when it was judged."""
    meta = {"collection": "stages", "indexes": [("station_id", "observed_at_ms")]}


class FloodWatch(Document):
    """What the next stage of a station is judged by. One for each station that has reported.

    It alone decides, so two batches for a station cannot both be committed on the same knowledge.
    """

    id = StringField(primary_key=True)
    level = IntField(default=0)
    """A `lienthong.environment.v1.FloodLevel`; 0 when no alarm stands."""
    highest = IntField(default=0)
    """Highest level since the alarm was last raised; 0 when it never was."""
    stage_mm = IntField(default=0)
    """Stage that brought it to this level."""
    raised_at_ms = LongField()
    changed_at_ms = LongField()
    lifted_at_ms = LongField()
    sound_at_ms = LongField()
    """Of the latest stage that was judged."""
    sound_mm = IntField()
    jumps = RecordField(default=dict)
    """Stages by moment that jumped from it and agree with each other, as they came."""
    meta = {"collection": "flood_watches"}


def stage_id(station_id: str, at_ms: int) -> str:
    """Id of a stage: station and moment, so a second one is a duplicate."""
    return f"{station_id}|{(_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec='milliseconds')}"
