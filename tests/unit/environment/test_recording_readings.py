"""What becomes of the rows of a batch."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lienthong.environment.v1 import AirQualityHourRecorded
from mesh.errors import NotFound
from mesh.times import to_ms
from services.environment.documents import Hour, Readings
from tests.unit.environment.city import STATION, City, hours_of, new_city, reading


def test_good_rows_are_kept_and_counted(city: City):
    outcome = city.record(reading(0), reading(0.5))

    assert (outcome.rows, outcome.accepted, outcome.duplicate, outcome.flagged) == (2, 2, 0, 0)
    assert not outcome.rejected


def test_a_reading_of_the_same_station_and_time_is_a_duplicate_whatever_it_says(city: City):
    city.record(reading(0, 20))

    outcome = city.record(reading(0, 30), reading(1), reading(1))

    assert (outcome.accepted, outcome.duplicate) == (1, 2)


def test_a_duplicate_of_a_closed_hour_is_known_too(city: City):
    city.record(*hours_of(0, [20, 20, 20]))

    outcome = city.record(reading(0, 30), reading(0.5, 20), reading(2, 30))

    assert (outcome.accepted, outcome.duplicate) == (1, 2)


def test_a_batch_of_duplicates_changes_nothing(city: City):
    city.record(*hours_of(0, [20, 20]))
    before = [hour.to_mongo() for hour in city.store.find(Hour)]

    assert city.record(*hours_of(0, [20, 20])).duplicate == 2
    assert [hour.to_mongo() for hour in city.store.find(Hour)] == before


@given(st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=8))
def test_each_moment_is_kept_once_in_whatever_batches_it_comes(batches: list[list[int]]):
    city = new_city()
    city.register()

    outcomes = [city.record(*(reading(moment / 10) for moment in batch)) for batch in batches if batch]

    kept = [row["observed_at_ms"] for found in city.store.find(Readings) for row in found.rows]
    assert len(kept) == len(set(kept)) == sum(outcome.accepted for outcome in outcomes)
    assert set(kept) == {to_ms(reading(moment / 10).observed_at) for batch in batches for moment in batch}


def test_a_reading_is_kept_as_it_was_reported(city: City):
    said = reading(0.5, 20.25, co=48.09)
    said.humidity_percent = 80

    city.record(said)

    [kept] = city.store.find(Readings)
    assert kept.rows == [
        {
            "observed_at_ms": to_ms(said.observed_at),
            "pm25": 20.25,
            "co": 48.09,
            "humidity_percent": 80,
            "flags": "UNIT_SCALE",
        }
    ]


def test_readings_of_one_call_and_hour_are_kept_together(city: City):
    city.record(reading(0), reading(0.5), reading(1))
    city.record(reading(1.5))

    assert [len(kept.rows) for kept in city.store.find(Readings)] == [2, 1, 1]


def test_an_hour_that_has_heard_of_each_of_its_milliseconds_fits_a_document():
    heard = Hour.heard.to_mongo(set(range(3_600_000)))

    assert len(heard) < 16 << 20
    assert len(Hour.heard.to_python(heard)) == 3_600_000


def test_bad_rows_are_reported_by_index_and_rule_and_the_others_kept(city: City):
    hot = reading(1)
    hot.temperature_c = 71
    nowhere = reading(2, station="nowhere")
    untimed = reading(3)
    untimed.ClearField("observed_at")

    outcome = city.record(reading(0), hot, nowhere, untimed)

    assert outcome.accepted == 1
    assert [(row.index, row.field, row.rule) for row in outcome.rejected] == [
        (1, "temperature_c", "lte"),
        (2, "station_id", "NOT_FOUND"),
        (3, "observed_at", "required"),
    ]


def test_a_batch_of_unregistered_stations_alone_is_refused(city: City):
    with pytest.raises(NotFound):
        city.record(reading(0, station="nowhere"), reading(1, station="elsewhere"))


def test_a_reading_ahead_of_the_clock_is_rejected(city: City):
    """Taken in, one wrong station clock would make everything that follows late."""
    outcome = city.record(reading(14 * 24 + 0.26), reading(14 * 24 + 0.25))

    assert [(row.index, row.rule) for row in outcome.rejected] == [(0, "not_in_future")]


def test_flagged_rows_are_kept_out_of_the_means_but_kept(city: City):
    outcome = city.record(reading(0, 20), reading(0.001, 40), reading(0.5, 5000), reading(0.6, 30), reading(1))

    (hour,) = city.said(AirQualityHourRecorded)
    assert (outcome.accepted, outcome.flagged) == (5, 2)
    assert hour.means.pm25_ug_m3 == 25
    assert hour.readings_used == 2
    assert sum(len(kept.rows) for kept in city.store.find(Readings, station_id=STATION)) == 5


def test_a_value_of_another_scale_is_missing_from_the_hour(city: City):
    city.record(reading(0, 20, co=48.09), reading(1))

    (hour,) = city.said(AirQualityHourRecorded)
    assert hour.readings_used == 1
    assert not hour.means.HasField("co_ug_m3")


def test_repeats_are_judged_across_batches(city: City):
    city.record(reading(0, 20))

    assert city.record(reading(10 / 3600, 20)).flagged == 1


def test_a_station_that_reports_every_ten_seconds_is_thinned_not_silenced(city: City):
    """Each is compared with the latest one that is no repeat itself."""
    outcome = city.record(*(reading(i * 10 / 3600, 20) for i in range(7)))

    assert outcome.flagged == 4


def test_a_thousand_rows_of_fifty_stations_take_well_below_a_tenth_of_a_second(city: City):
    for i in range(50):
        city.register(f"s{i}")
    rows = [reading(j * 0.5, 20 + j % 7, station=f"s{i}", pm10=40, co=300) for j in range(20) for i in range(50)]

    started = time.perf_counter()
    outcome = city.record(*rows)
    taken = time.perf_counter() - started

    assert outcome.accepted == 1000
    assert taken < 1, "ten times the aim, so that a busy machine does not fail it"


def test_the_order_inside_a_batch_makes_no_row_late(city: City):
    city.record(reading(2, 20), reading(0, 20), reading(1, 20))

    assert city.recorded() == [(0, 1, None), (1, 1, 40)]


def test_time_passes_for_the_clock_only(city: City):
    city.clock.advance(timedelta(days=1))

    city.record(*hours_of(0, [20, 20]))

    assert city.recorded() == [(0, 1, None)]
