"""Which restriction a happening calls for, if any: pure, with `flood_effects.csv` and `air_effects.csv`.

Every event tells the whole state of its thing, so one event is enough to know.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from lienthong.administration.v1 import PERMIT_KIND_ROAD_WORKS, PermitChanged, PermitGranted
from lienthong.environment.v1 import (
    AirQualityAlertRaised,
    FloodAlarmEscalated,
    FloodAlarmLowered,
    FloodAlarmRaised,
)
from lienthong.transport import v1
from mesh.geometry import Place
from mesh.times import to_ms
from services.transport.segments import Named, Within
from services.transport.terms import Terms

FloodAlarm = FloodAlarmRaised | FloodAlarmEscalated | FloodAlarmLowered
"""A flood alarm that stands."""
Permit = PermitGranted | PermitChanged
"""A permit that holds."""
Incident = v1.IncidentReported | v1.IncidentChanged
"""An incident that lasts."""


@dataclass(frozen=True, slots=True)
class _Row:
    """What one level or band does to traffic."""

    effect: int
    severity: int
    vehicle_classes: tuple[int, ...]
    note: str


def flood(alarm: FloodAlarm, at_ms: int) -> Terms:
    """III closes what is prone to floods, lower levels warn."""
    row = _row(_FLOOD, alarm.level)
    return Terms(
        cause=v1.CAUSE_WEATHER,
        effect=row.effect,
        severity=row.severity,
        where=Within(_place(alarm.location), alarm.reach_m, flood_prone_only=True),
        vehicle_classes=row.vehicle_classes,
        from_ms=at_ms,
        note=row.note.format(station=alarm.station_name or alarm.station_id),
    )


def bad_air(alert: AirQualityAlertRaised, reach_m: float) -> Terms | None:
    """From band Xấu up heavy vehicles keep out."""
    if alert.band < min(_AIR) or not alert.HasField("location"):
        return None
    row = _row(_AIR, alert.band)
    return Terms(
        cause=v1.CAUSE_WEATHER,
        effect=row.effect,
        severity=row.severity,
        where=Within(_place(alert.location), reach_m),
        vehicle_classes=row.vehicle_classes,
        from_ms=to_ms(alert.raised_at),
        note=row.note.format(station=alert.station_name or alert.station_id),
    )


def road_works(permit: Permit) -> Terms:
    """Road works close or narrow their segments for their time."""
    return Terms(
        cause=v1.CAUSE_CONSTRUCTION,
        effect=v1.EFFECT_NO_SERVICE if permit.full_closure else v1.EFFECT_REDUCED_SERVICE,
        severity=v1.SEVERITY_INFO,
        where=Named(tuple(permit.segment_ids)),
        from_ms=to_ms(getattr(permit, "from")),
        is_planned=True,
        until_ms=to_ms(permit.until),
        note=permit.title,
    )


def is_road_works(kind: int) -> bool:
    """Whether a permit of this kind concerns roads; the kind of a permit never changes."""
    return kind == PERMIT_KIND_ROAD_WORKS


def incident(said: Incident, at_ms: int) -> Terms | None:
    """An incident that does something to traffic restricts its segments as it says."""
    if said.effect == v1.EFFECT_NO_EFFECT:
        return None
    return Terms(
        cause=said.cause,
        effect=said.effect,
        severity=said.severity,
        where=Named(tuple(said.segment_ids)),
        from_ms=at_ms,
    )


def _place(location: Any) -> Place:
    return Place(location.latitude, location.longitude)


def _row(table: Mapping[int, _Row], number: int) -> _Row:
    """The row of a level or band; one that a later contract adds above counts as the highest known."""
    return table[min(number, max(table))]


def _read(file: str, column: str) -> dict[int, _Row]:
    rows = csv.DictReader(files(__package__).joinpath(file).read_text("utf-8").splitlines())
    return {int(row[column]): _parsed(row) for row in rows}


def _parsed(row: Mapping[str, str]) -> _Row:
    return _Row(
        v1.Effect.Value(f"EFFECT_{row['effect']}"),
        v1.Severity.Value(f"SEVERITY_{row['severity']}"),
        tuple(v1.VehicleClass.Value(f"VEHICLE_CLASS_{name}") for name in row["vehicle_classes"].split()),
        row["note"],
    )


_FLOOD: Final = _read("flood_effects.csv", "level")
_AIR: Final = _read("air_effects.csv", "band")
