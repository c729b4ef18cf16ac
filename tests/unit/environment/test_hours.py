"""When an hour closes, and what a late reading changes."""

from __future__ import annotations

from datetime import timedelta

from lienthong.environment.v1 import (
    LIFT_REASON_CORRECTED,
    LIFT_REASON_INDEX_BELOW,
    LIFT_REASON_NO_DATA,
    AirQualityAlertRaised,
    AirQualityHourRecorded,
    CloseHoursRequest,
)
from tests.unit.environment.city import STATION, City, hours_of, reading

POOR, BAD = 3, 4
PM25_OF_INDEX_120 = 62
PM25_OF_INDEX_160 = 94


def test_an_hour_closes_when_its_station_reports_a_later_one(city: City):
    city.record(reading(0.2, 20), reading(0.4, 30))
    assert city.recorded() == []

    city.record(reading(1, 20))

    (hour,) = city.said(AirQualityHourRecorded)
    assert (hour.station_id, hour.revision, hour.means.pm25_ug_m3, hour.readings_used) == (STATION, 1, 25, 2)
    assert hour.location.latitude == 21.04


def test_an_index_begins_with_the_second_hour(city: City):
    """NowCast needs two of three."""
    city.record(*hours_of(0, [20, 20, 20]))

    assert city.recorded() == [(0, 1, None), (1, 1, 40)]


def test_nowcast_looks_back_eleven_hours_across_calls(city: City):
    values = [26.9, 24.7, 20.5, 23.5, 19.5, 16.5, 19.0, 16.5, 20.3, 22.4, 19.6, 20.6]
    for row in hours_of(0, values):
        city.record(row)
    city.close()

    assert city.recorded()[-1] == (11, 1, 41)


def test_the_clock_closes_an_hour_ten_minutes_after_its_station_was_last_heard(city: City):
    city.record(reading(0))

    city.clock.advance(timedelta(minutes=9, seconds=59))
    city.service.close_due_hours()
    assert city.recorded() == []

    city.clock.advance(timedelta(seconds=1))
    city.service.close_due_hours()
    assert city.recorded() == [(0, 1, None)]


def test_the_clock_closes_no_hour_that_is_not_over(city: City):
    now = 14 * 24
    city.record(reading(now))

    city.clock.advance(timedelta(minutes=69))
    city.service.close_due_hours()
    assert city.recorded() == []

    city.clock.advance(timedelta(minutes=1))
    city.service.close_due_hours()
    assert city.recorded() == [(now, 1, None)]


def test_closing_all_says_how_many_are_left(city: City):
    for i in range(3):
        city.register(f"s{i}")
        city.record(reading(0, station=f"s{i}"))

    first = city.service.close_hours(CloseHoursRequest(request_id="1", limit=2))
    second = city.service.close_hours(CloseHoursRequest(request_id="2", limit=2))
    third = city.service.close_hours(CloseHoursRequest(request_id="3", limit=2))

    assert (first.closed, first.remaining) == (2, 1)
    assert (second.closed, second.remaining) == (1, 0)
    assert (third.closed, third.remaining) == (0, 0)


def test_a_late_reading_records_its_hour_again(city: City):
    city.record(*hours_of(0, [20, 20, 20]))

    city.record(reading(0.5, 40))

    assert city.recorded()[2:] == [(0, 2, None), (1, 2, 48)]


def test_several_late_readings_of_one_call_record_an_hour_once(city: City):
    city.record(*hours_of(0, [20, 20, 20]))

    city.record(reading(1.2, 40), reading(1.4, 40), reading(1.6, 40))

    assert city.recorded()[2:] == [(1, 2, 59)]


def test_a_late_reading_that_is_flagged_records_nothing(city: City):
    city.record(*hours_of(0, [20, 20, 20]))

    city.record(reading(0.5, 5000))

    assert len(city.recorded()) == 2


def test_a_late_reading_that_changes_no_number_still_records_its_hour(city: City):
    """It entered the means; only hours that follow are left alone when nothing changes for them."""
    city.record(*hours_of(0, [20, 20, 20]))

    city.record(reading(0.5, 20))

    assert city.recorded()[2:] == [(0, 2, None)]


def test_an_hour_that_nobody_measured_can_be_recorded_late(city: City):
    city.record(reading(0, 20), reading(2, 20), reading(3, 20))

    city.record(reading(1, 40))

    assert city.recorded() == [(0, 1, None), (2, 1, 40), (1, 1, 67), (2, 2, 51)]


def test_an_hour_between_the_latest_closed_and_the_open_one_is_recorded_once(city: City):
    city.record(reading(0, 20), reading(3, 20))

    city.record(reading(1, 20))

    assert city.recorded() == [(0, 1, None), (1, 1, 40)]


def test_a_reading_of_an_hour_closed_by_the_clock_is_late(city: City):
    city.record(reading(0, 20), reading(1, 20))
    city.close()

    city.record(reading(1.5, 30))

    assert city.recorded()[2:] == [(1, 2, 46)]


def test_an_episode_is_raised_rises_and_is_lifted(city: City):
    clean, episode = [20] * 3, [PM25_OF_INDEX_120] * 3 + [PM25_OF_INDEX_160] * 8

    city.record(*hours_of(0, clean + episode + [20] * 4))

    raised = city.said(AirQualityAlertRaised)
    assert [(said.band, said.previous_band) for said in raised] == [(POOR, 0), (BAD, POOR)]
    assert raised[0].station_name == "Hàng Đậu"
    assert city.alerts()[-1][0::2] == ("lifted", LIFT_REASON_INDEX_BELOW)


def test_six_hours_of_silence_lift_an_alert_when_the_next_hour_closes(city: City):
    city.record(*hours_of(0, [PM25_OF_INDEX_120] * 3))

    city.record(reading(10, 20), reading(11, 20))

    assert city.alerts() == [("raised", 2, POOR), ("lifted", 9, LIFT_REASON_NO_DATA)]


def test_the_clock_lifts_an_alert_of_a_station_that_fell_silent(city: City):
    city.record(*hours_of(0, [PM25_OF_INDEX_120] * 3))
    city.clock.advance(timedelta(minutes=10))

    city.service.close_due_hours()

    assert city.alerts() == [("raised", 2, POOR), ("lifted", 9, LIFT_REASON_NO_DATA)]


def test_while_readings_come_the_clock_lifts_nothing(city: City):
    """A replay of old days is not silence."""
    city.record(*hours_of(0, [PM25_OF_INDEX_120] * 3))
    city.clock.advance(timedelta(minutes=9))

    city.service.close_due_hours()

    assert city.alerts() == [("raised", 2, POOR)]


def test_what_the_clock_lifted_a_late_reading_does_not_raise_again(city: City):
    city.record(*hours_of(0, [PM25_OF_INDEX_120] * 3))
    city.clock.advance(timedelta(minutes=10))
    city.service.close_due_hours()

    city.record(reading(1.5, PM25_OF_INDEX_120))

    assert len(city.alerts()) == 2


def test_a_late_reading_that_takes_the_reason_away_lifts_the_alert(city: City):
    city.record(*hours_of(0, [20, 20, PM25_OF_INDEX_120 * 2, 20]))
    assert city.alerts() == [("raised", 3, POOR)]

    city.record(reading(2.3, 10), reading(2.6, 10))

    assert city.alerts()[1:] == [("lifted", 3, LIFT_REASON_CORRECTED)]


def test_a_late_reading_can_raise_an_alert(city: City):
    city.record(*hours_of(0, [40, 40, 40, 40]))

    city.record(reading(2.5, 150))

    assert city.alerts() == [("raised", 3, POOR)]


def test_a_correction_older_than_two_days_does_not_touch_the_alert(city: City):
    city.record(*hours_of(0, [PM25_OF_INDEX_120] * 3), *hours_of(3, [PM25_OF_INDEX_120] * 50))
    before = city.alerts()

    outcome = city.record(reading(1.5, 10), reading(0.5, 10))

    assert outcome.accepted == 2
    assert city.recorded()[-1][1] == 2
    assert city.alerts() == before


def test_after_a_correction_the_alert_goes_on_from_what_was_published(city: City):
    city.record(*hours_of(0, [20, 20, PM25_OF_INDEX_120 * 2, 20]))
    city.record(reading(2.3, 10), reading(2.6, 10))

    city.record(*hours_of(4, [PM25_OF_INDEX_120] * 3))

    assert [what for what, _, _ in city.alerts()] == ["raised", "lifted", "raised"]
