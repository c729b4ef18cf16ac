"""What an event gives the public to know: a pure function of each."""

from __future__ import annotations

from dataclasses import dataclass

from lienthong.administration.v1 import NOTICE_KIND_BAD_AIR, NOTICE_KIND_FLOOD
from lienthong.environment.v1 import AirQualityAlertRaised, FloodAlarmEscalated, FloodAlarmLowered, FloodAlarmRaised
from mesh.localities import localities
from services.administration.notice_texts import wording_for

FloodAlarm = FloodAlarmRaised | FloodAlarmEscalated | FloodAlarmLowered
"""Each tells the level that stands from now on."""


@dataclass(frozen=True, slots=True)
class Telling:
    """All that a notice says of its happening."""

    kind: int
    severity: int
    headline: str
    text: str
    place: tuple[float, float] | None
    """Degrees north and east; None when an agreement withheld it."""


def told_of_flood(alarm: FloodAlarm, origin: str, here: str) -> Telling:
    """Of an alarm here or of a peer, as severe there as here; a peer's names its locality."""
    is_own = origin == here
    place = _station(alarm.station_name, alarm.river) if alarm.station_name else ""
    if not is_own or not place:
        place = ", ".join(filter(None, (place, _locality(origin))))
    wording = wording_for(NOTICE_KIND_FLOOD, alarm.level, is_own=is_own).at(place)
    return Telling(NOTICE_KIND_FLOOD, wording.severity, wording.headline, wording.text, _place(alarm))


def told_of_air(alert: AirQualityAlertRaised, origin: str) -> Telling:
    """Of an alert here."""
    wording = wording_for(NOTICE_KIND_BAD_AIR, alert.band).at(alert.station_name or _locality(origin))
    return Telling(NOTICE_KIND_BAD_AIR, wording.severity, wording.headline, wording.text, _place(alert))


def _station(name: str, river: str) -> str:
    return f"{name} (sông {river})" if river else name


def _locality(slug: str) -> str:
    """Name of a locality; the slug of one that this version does not know."""
    return next((locality.name for locality in localities() if locality.slug == slug), slug)


def _place(told: FloodAlarm | AirQualityAlertRaised) -> tuple[float, float] | None:
    return (told.location.latitude, told.location.longitude) if told.HasField("location") else None
