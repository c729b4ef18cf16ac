"""Documents and transitions of water as messages of the contract, and back."""

from __future__ import annotations

from typing import Any, Final

from lienthong.environment import v1
from mesh.times import timestamp
from services.environment.documents_water import FloodWatch, StageRecord, WaterStation
from services.environment.flood_alarm import Change, Transition

_STANDS: Final[dict[Change, tuple[type[Any], str]]] = {
    Change.RAISED: (v1.FloodAlarmRaised, "raised_at"),
    Change.ESCALATED: (v1.FloodAlarmEscalated, "escalated_at"),
    Change.LOWERED: (v1.FloodAlarmLowered, "lowered_at"),
}
"""Event of each change after which an alarm stands, and its time."""


def to_mm(metres: float) -> int:
    """Whole millimetres, as stages are kept and compared; halves go to the even one."""
    return round(metres * 1000)


def water_station_message(station: WaterStation) -> v1.WaterStation:
    """A water station as callers see it."""
    return v1.WaterStation(
        id=station.id,
        name=station.name,
        river=station.river,
        location=_location(station),
        level_i_m=station.level_i_mm / 1000,
        level_ii_m=station.level_ii_mm / 1000,
        level_iii_m=station.level_iii_mm / 1000,
        plausible_rate_m_per_h=station.rate_mm_per_h / 1000,
        hysteresis_m=station.hysteresis_mm / 1000,
        reach_m=station.reach_m,
        levels_source=station.levels_source or "",
    )


def stage_message(record: StageRecord) -> v1.RecordedStage:
    """A stage as callers see it."""
    return v1.RecordedStage(
        stage=_stage(record.station_id, record.observed_at_ms, record.stage_mm),
        flags=[record.flag] if record.flag else [],
        received_at=timestamp(record.received_at_ms),
    )


def alarm_message(watch: FloodWatch) -> v1.FloodAlarm:
    """An alarm as callers see it."""
    return v1.FloodAlarm(
        station_id=watch.id,
        level=watch.level,
        stage_m=watch.stage_mm / 1000,
        highest_level=watch.highest,
        raised_at=timestamp(watch.raised_at_ms),
        changed_at=timestamp(watch.changed_at_ms),
        lifted_at=timestamp(watch.lifted_at_ms),
        latest=_stage(watch.id, watch.sound_at_ms, watch.sound_mm),
    )


def alarm_changed(
    station: WaterStation, transition: Transition
) -> v1.FloodAlarmRaised | v1.FloodAlarmEscalated | v1.FloodAlarmLowered | v1.FloodAlarmLifted:
    """The event of what happened to an alarm."""
    return _lifted(station, transition) if transition.change is Change.LIFTED else _stands(station, transition)


def _stands(station: WaterStation, transition: Transition) -> Any:
    event, when = _STANDS[transition.change]
    return event(
        station_id=station.id,
        station_name=station.name,
        river=station.river,
        level=transition.level,
        previous_level=transition.previous,
        stage_m=_metres(transition.stage_mm),
        location=_location(station),
        reach_m=station.reach_m,
        **{when: timestamp(transition.at_ms)},
    )


def _lifted(station: WaterStation, transition: Transition) -> v1.FloodAlarmLifted:
    by_hand = transition.stage_mm is None
    return v1.FloodAlarmLifted(
        station_id=station.id,
        station_name=station.name,
        river=station.river,
        lifted_at=timestamp(transition.at_ms),
        reason=v1.FLOOD_LIFT_REASON_BY_HAND if by_hand else v1.FLOOD_LIFT_REASON_STAGE_BELOW,
        stage_m=_metres(transition.stage_mm),
        previous_level=transition.previous,
    )


def _stage(station_id: str, at_ms: int, stage_mm: int) -> v1.Stage:
    return v1.Stage(station_id=station_id, observed_at=timestamp(at_ms), stage_m=stage_mm / 1000)


def _metres(stage_mm: int | None) -> float | None:
    return None if stage_mm is None else stage_mm / 1000


def _location(station: WaterStation) -> v1.Location:
    return v1.Location(latitude=station.latitude, longitude=station.longitude)
