"""Documents and transitions as messages of the contract, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from lienthong.environment import v1
from services.environment import vn_aqi
from services.environment.air_quality_alert import Lifted, Raised, Transition
from services.environment.documents import Hour, Station
from services.environment.vn_aqi import PG_PER_UG, Index, Pollutant

# Plain text is hashed and compared sooner than members of an enum.
_FIELD: Final = {str(p): f"{p}_ug_m3" for p in Pollutant}
_FIELDS: Final = tuple(_FIELD.items())
_NUMBER: Final = {str(p): v1.Pollutant.Value(f"POLLUTANT_{p.name}") for p in Pollutant}
_CONDITIONS: Final = ("temperature_c", "humidity_percent")


def start_of(hour: int) -> Timestamp:
    """Start of an hour."""
    return Timestamp(seconds=hour * 3600)


def end_of(hour: int) -> Timestamp:
    """End of an hour."""
    return start_of(hour + 1)


def measured_by(reading: v1.Reading) -> dict[str, float]:
    """What a reading says of each pollutant it measured."""
    said = reading.concentrations
    return {p: getattr(said, field) for p, field in _FIELDS if said.HasField(field)}


def conditions_of(reading: v1.Reading) -> dict[str, float]:
    """Temperature and humidity, where measured."""
    return {name: getattr(reading, name) for name in _CONDITIONS if reading.HasField(name)}


def station_document(station: v1.Station) -> Station:
    """A station as it is kept."""
    return Station(
        id=station.id,
        name=station.name,
        latitude=station.location.latitude,
        longitude=station.location.longitude,
        commune_code=station.commune_code,
    )


def station_message(station: Station) -> v1.Station:
    """A station as callers see it."""
    return v1.Station(
        id=station.id, name=station.name, location=_location(station), commune_code=station.commune_code or ""
    )


def hour_message(hour: Hour) -> v1.HourlyAirQuality:
    """A closed hour as callers see it."""
    return v1.HourlyAirQuality(
        station_id=hour.station_id,
        hour=start_of(hour.hour),
        revision=hour.revision,
        means=_concentrations(means_of(hour)),
        readings_used=hour.used,
        readings_flagged=hour.flagged,
        **_index_fields(published_index(hour)),
    )


def day_message(station_id: str, day: str, index: Index | None, hours: int) -> v1.DailyAirQuality:
    """A day as callers see it."""
    return v1.DailyAirQuality(station_id=station_id, day=day, hours=hours, **_index_fields(index))


def hour_recorded(station: Station, hour: Hour) -> v1.AirQualityHourRecorded:
    """The event of an hour that closed or changed."""
    return v1.AirQualityHourRecorded(
        station_id=hour.station_id,
        hour=start_of(hour.hour),
        revision=hour.revision,
        means=_concentrations(means_of(hour)),
        location=_location(station),
        readings_used=hour.used,
        **_index_fields(published_index(hour)),
    )


def alert_changed(station: Station, transition: Transition) -> v1.AirQualityAlertRaised | v1.AirQualityAlertLifted:
    """The event of what happened to an alert."""
    return alert_raised(station, transition) if isinstance(transition, Raised) else alert_lifted(station, transition)


def alert_raised(station: Station, raised: Raised) -> v1.AirQualityAlertRaised:
    """The event of an alert that began or rose."""
    return v1.AirQualityAlertRaised(
        station_id=station.id,
        station_name=station.name,
        band=raised.band,
        index=raised.index,
        raised_at=end_of(raised.hour),
        location=_location(station),
        pollutant=_NUMBER[raised.pollutant],
        previous_band=raised.previous_band,
        alert_index=raised.level,
    )


def alert_lifted(station: Station, lifted: Lifted) -> v1.AirQualityAlertLifted:
    """The event of an alert that ended."""
    return v1.AirQualityAlertLifted(
        station_id=station.id,
        lifted_at=end_of(lifted.hour),
        reason=v1.LiftReason.Value(f"LIFT_REASON_{lifted.reason}"),
        index=lifted.index,
    )


def means_of(hour: Hour) -> dict[str, int]:
    """Means of an hour in pg/m³, by pollutant."""
    counts = hour.counts
    return {pollutant: vn_aqi.mean(total, counts[pollutant]) for pollutant, total in hour.sums.items()}


def published_index(hour: Hour) -> Index | None:
    """The index an hour was last recorded with."""
    return None if hour.index is None else Index(hour.index, Pollutant(hour.pollutant))


def _concentrations(means: Mapping[str, int]) -> v1.Concentrations:
    return v1.Concentrations(**{_FIELD[p]: value / PG_PER_UG for p, value in means.items()})


def _index_fields(index: Index | None) -> dict[str, int]:
    if index is None:
        return {}
    return {"index": index.value, "band": index.band, "pollutant": _NUMBER[index.pollutant]}


def _location(station: Station) -> v1.Location:
    return v1.Location(latitude=station.latitude, longitude=station.longitude)
