"""A station's watch and its alarm: what the fold says becomes the document's state and an event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mesh.errors import FailedPrecondition
from mesh.store import Documents
from services.environment.documents_water import FloodWatch, WaterStation
from services.environment.flood_alarm import AlarmState, Limits, Transition, lift_by_hand, step
from services.environment.water_messages import alarm_changed

_STANDING: Final = ("FLOOD_LEVEL_I", "FLOOD_LEVEL_II", "FLOOD_LEVEL_III")


def limits_of(station: WaterStation) -> Limits:
    """What a station's stages are compared with."""
    return Limits((station.level_i_mm, station.level_ii_mm, station.level_iii_mm), station.hysteresis_mm)


def follow_stage(
    watch: FloodWatch, station: WaterStation, stage_mm: int, at_ms: int, emit: Callable[[Any], None]
) -> None:
    """Lets a sound stage move the alarm."""
    state, transition = step(_state_of(watch), stage_mm, at_ms, limits_of(station))
    if transition is not None:
        _publish(watch, station, state, transition, emit)


def lift_alarm(store: Documents, emit: Callable[[Any], None], station_id: str, now_ms: int) -> FloodWatch:
    """Ends the alarm of a station because an operator says so. Raises FailedPrecondition when none stands."""
    station = store.require(WaterStation, station_id, "water station")
    watch = store.get(FloodWatch, station_id)
    if watch is None or watch.level == 0:
        raise FailedPrecondition("no alarm stands at this station", allowed=_STANDING)
    _publish(watch, station, *lift_by_hand(_state_of(watch), now_ms), emit)
    store.put(watch)
    return watch


def _state_of(watch: FloodWatch) -> AlarmState:
    return AlarmState(**{name: getattr(watch, name) for name in AlarmState.__slots__})


def _publish(
    watch: FloodWatch, station: WaterStation, state: AlarmState, transition: Transition, emit: Callable[[Any], None]
) -> None:
    for name, value in state.as_dict().items():
        setattr(watch, name, value)
    emit(alarm_changed(station, transition))
