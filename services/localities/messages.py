"""Versions and former units as messages."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from lienthong.localities import v1
from services.localities.registry import MERGED, FormerUnit, Version, former_units

_TYPES = {"city": v1.LOCALITY_TYPE_CITY, "province": v1.LOCALITY_TYPE_PROVINCE}


def locality_message(version: Version) -> v1.Locality:
    """A version as others see it; only a locality of after the merger covers former units."""
    covers = former_units(version.code) if version.valid_from >= MERGED else []
    return v1.Locality(
        code=version.code,
        slug=version.slug,
        name=version.name,
        type=_TYPES[version.type],
        extent=v1.Extent(former_units=map(former_unit_message, covers), communes=version.communes),
        valid_from=_timestamp(version.valid_from),
        valid_until=_timestamp(version.valid_until),
        recorded_at=_timestamp(version.recorded_at),
        replaced_at=_timestamp(version.replaced_at),
        source=version.source,
    )


def former_unit_message(unit: FormerUnit) -> v1.FormerUnit:
    """A former unit as others see it."""
    return v1.FormerUnit(code=unit.code, name=unit.name)


def type_name(type: v1.LocalityType.ValueType) -> str:
    """What the registry calls a kind of unit; empty for UNSPECIFIED."""
    return next((name for name, value in _TYPES.items() if value == type), "")


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
