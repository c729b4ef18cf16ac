"""Pages of stations, hours and days."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lienthong.environment.v1 import (
    BAND_MODERATE,
    POLLUTANT_PM25,
    GetStationRequest,
    ListDailyAirQualityRequest,
    ListHourlyAirQualityRequest,
    ListStationsRequest,
)
from mesh.errors import InvalidArgument, NotFound
from tests.unit.environment.city import MIDNIGHT, STATION, City, hours_of, reading


def hourly(city: City, **wanted: object):
    request = ListHourlyAirQualityRequest(station_id=STATION, **wanted)
    return city.service.list_hourly_air_quality(request)


def daily(city: City, first: str, last: str):
    request = ListDailyAirQualityRequest(station_id=STATION, from_day=first, until_day=last)
    return city.service.list_daily_air_quality(request).days


def test_a_station_is_what_was_registered_last(city: City):
    city.register()

    station = city.service.get_station(GetStationRequest(station_id=STATION)).station

    assert (station.id, station.name, station.location.longitude) == (STATION, "Hàng Đậu", 105.85)


def test_an_unregistered_station_is_not_found(city: City):
    with pytest.raises(NotFound):
        city.service.get_station(GetStationRequest(station_id="nowhere"))


def test_stations_come_by_id_and_page(city: City):
    for name in "cab":
        city.register(name)

    first = city.service.list_stations(ListStationsRequest(page_size=3))
    second = city.service.list_stations(ListStationsRequest(page_size=3, page_token=first.next_page_token))

    assert [station.id for station in first.stations] == ["a", "b", "c"]
    assert [station.id for station in second.stations] == [STATION]
    assert second.next_page_token == ""


def test_closed_hours_come_oldest_first_and_by_page(city: City):
    city.record(*hours_of(0, [20, 30, 40, 50, 60]))

    first = hourly(city, page_size=3)
    second = hourly(city, page_size=3, page_token=first.next_page_token)

    assert [hour.means.pm25_ug_m3 for hour in (*first.hours, *second.hours)] == [20, 30, 40, 50]
    assert second.next_page_token == ""
    assert not first.hours[0].HasField("index")
    assert (second.hours[0].band, second.hours[0].pollutant) == (BAND_MODERATE, POLLUTANT_PM25)


def test_hours_are_bounded_by_when_they_start(city: City):
    city.record(*hours_of(0, [20] * 6))

    found = hourly(city, **{"from": MIDNIGHT + timedelta(minutes=1), "until": MIDNIGHT + timedelta(hours=3, seconds=1)})

    assert [hour.hour.ToDatetime() for hour in found.hours] == [
        (MIDNIGHT + timedelta(hours=i)).replace(tzinfo=None) for i in (1, 2, 3)
    ]


def test_a_page_token_nobody_gave_is_refused(city: City):
    with pytest.raises(InvalidArgument):
        hourly(city, page_token="x")


def test_a_day_is_a_day_of_the_country(city: City):
    """Midnight there is 17:00 UTC of the day before."""
    city.record(*hours_of(15, [10, 10, 30, 30]))
    city.close()

    days = daily(city, "2026-11-08", "2026-11-11")

    assert [(day.day, day.hours, day.index) for day in days] == [("2026-11-09", 2, 20), ("2026-11-10", 2, 60)]


def test_a_day_without_particles_has_no_index(city: City):
    city.record(reading(0, None, o3=100), reading(1, None, o3=100))

    (day,) = daily(city, "2026-11-09", "2026-11-09")

    assert not day.HasField("index")


@pytest.mark.parametrize(
    ("first", "last"), [("2026-02-30", "2026-03-01"), ("2026-03-02", "2026-03-01"), ("2026-01-01", "2026-03-01")]
)
def test_days_that_do_not_exist_or_are_too_many_are_refused(city: City, first: str, last: str):
    with pytest.raises(InvalidArgument):
        daily(city, first, last)
