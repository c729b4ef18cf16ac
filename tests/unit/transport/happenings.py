"""Happenings that roads follow, each as the events of its life."""

from __future__ import annotations

from typing import Any

from lienthong.administration import v1 as administration
from lienthong.environment import v1 as environment
from lienthong.transport import v1
from tests.unit.transport.roads import GAUGE, at

STATION, PERMIT, INCIDENT, REPORT = "ai-nghia", "permit-1", "incident-1", "report-1"
_TIMES = {
    environment.FloodAlarmRaised: "raised_at",
    environment.FloodAlarmEscalated: "escalated_at",
    environment.FloodAlarmLowered: "lowered_at",
}


def flood(kind: Any, level: int, hour: float, reach_m: float = 5000) -> Any:
    """The flood alarm stands at a level."""
    return kind(
        station_id=STATION,
        station_name="Ái Nghĩa",
        level=level,
        stage_m=7,
        location=environment.Location(latitude=GAUGE.latitude, longitude=GAUGE.longitude),
        reach_m=reach_m,
        **{_TIMES[kind]: at(hour)},
    )


def flood_raised(level: int = 1, hour: float = 1, **given: Any) -> environment.FloodAlarmRaised:
    return flood(environment.FloodAlarmRaised, level, hour, **given)


def flood_escalated(level: int = 3, hour: float = 2) -> environment.FloodAlarmEscalated:
    return flood(environment.FloodAlarmEscalated, level, hour)


def flood_lowered(level: int = 2, hour: float = 3) -> environment.FloodAlarmLowered:
    return flood(environment.FloodAlarmLowered, level, hour)


def flood_lifted(hour: float = 4) -> environment.FloodAlarmLifted:
    return environment.FloodAlarmLifted(
        station_id=STATION, lifted_at=at(hour), reason=environment.FLOOD_LIFT_REASON_STAGE_BELOW
    )


def air_raised(band: int = environment.BAND_BAD, hour: float = 1) -> environment.AirQualityAlertRaised:
    return environment.AirQualityAlertRaised(
        station_id=STATION,
        station_name="Ái Nghĩa",
        band=band,
        index=42 * band,
        raised_at=at(hour),
        location=environment.Location(latitude=GAUGE.latitude, longitude=GAUGE.longitude),
    )


def air_lifted(hour: float = 3) -> environment.AirQualityAlertLifted:
    return environment.AirQualityAlertLifted(
        station_id=STATION, lifted_at=at(hour), reason=environment.LIFT_REASON_INDEX_BELOW
    )


def permit_granted(
    *segments: str,
    told: Any = administration.PermitGranted,
    purpose: int = administration.PERMIT_KIND_ROAD_WORKS,
    **given: Any,
) -> Any:
    """Road works from 14 to 20 o'clock, unless told otherwise."""
    given = {
        "permit_id": PERMIT,
        "kind": purpose,
        "title": "Sửa cống",
        "segment_ids": segments,
        "from": at(14),
        "until": at(20),
        "revision": 1,
        **given,
    }
    return told(**given)


def permit_changed(*segments: str, **given: Any) -> administration.PermitChanged:
    return permit_granted(*segments, told=administration.PermitChanged, **given)


def permit_cancelled(kind: int = administration.PERMIT_KIND_ROAD_WORKS) -> administration.PermitCancelled:
    return administration.PermitCancelled(permit_id=PERMIT, kind=kind, revision=2, cancelled_at=at(13))


def incident_reported(*segments: str, kind: Any = v1.IncidentReported, **given: Any) -> Any:
    given = {
        "incident_id": INCIDENT,
        "cause": v1.CAUSE_ACCIDENT,
        "effect": v1.EFFECT_NO_SERVICE,
        "severity": v1.SEVERITY_SEVERE,
        "location": v1.Location(latitude=GAUGE.latitude, longitude=GAUGE.longitude),
        "segment_ids": segments,
        **given,
    }
    return kind(**given)


def incident_changed(*segments: str, **given: Any) -> v1.IncidentChanged:
    return incident_reported(*segments, kind=v1.IncidentChanged, **given)


def incident_cleared(**given: Any) -> v1.IncidentCleared:
    return v1.IncidentCleared(incident_id=INCIDENT, cleared_at=at(13), **given)


def routed(
    sector: int = administration.SECTOR_TRANSPORT, category: int = administration.REPORT_CATEGORY_ROAD_DAMAGE
) -> administration.FieldReportRouted:
    return administration.FieldReportRouted(
        report_id=REPORT,
        category=category,
        sector=sector,
        location=administration.Location(latitude=GAUGE.latitude, longitude=GAUGE.longitude),
        filed_at=at(1),
        routed_at=at(2),
    )
