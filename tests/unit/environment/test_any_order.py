"""Whatever order readings come in, and in whatever batches, the published hours end up saying what was measured."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from lienthong.environment.v1 import AirQualityHourRecorded
from services.environment import air_quality_alert as alerts
from services.environment.documents import Hour, Readings, Watch
from services.environment.messages import published_index
from services.environment.vn_aqi import Index, Pollutant, hourly_index, mean, to_pg_m3
from tests.unit.environment.city import STATION, City, new_city, reading

LEVEL = 100
MINUTES = st.integers(0, 40 * 12)
"""Moments of forty hours, five minutes apart."""
feeds = st.lists(st.tuples(MINUTES, st.integers(0, 140)), min_size=1, max_size=60, unique_by=lambda row: row[0])
batches = st.lists(st.integers(1, 12), min_size=60, max_size=60)


def city_after(feed: list[tuple[int, int]], sizes: list[int]) -> City:
    city = new_city()
    city.register()
    rows = [reading(moment / 12, float(pm25)) for moment, pm25 in feed]
    for size in sizes:
        if rows:
            city.record(*rows[:size])
            rows = rows[size:]
    city.close()
    return city


def indexes_of_what_was_measured(city: City) -> dict[int, Index | None]:
    """From the readings kept, without any of the sector's bookkeeping."""
    values = defaultdict(list)
    for row in (row for kept in city.store.find(Readings) for row in kept.rows):
        values[row["observed_at_ms"] // 3_600_000] += [] if "flags" in row else [to_pg_m3(row["pm25"])]
    means = {h: {Pollutant.PM25: mean(sum(found), len(found))} for h, found in values.items() if found}
    return {h: hourly_index([means.get(h - i, {}) for i in range(12)]) for h in sorted(values)}


@settings(max_examples=150, deadline=None)
@given(feeds, batches)
def test_published_indexes_are_those_of_what_was_measured(feed: list[tuple[int, int]], sizes: list[int]):
    city = city_after(feed, sizes)

    assert {hour.hour: published_index(hour) for hour in city.store.find(Hour)} == indexes_of_what_was_measured(city)


@settings(max_examples=100, deadline=None)
@given(feeds, batches)
def test_revisions_of_an_hour_count_from_one_and_the_last_one_stands(feed: list[tuple[int, int]], sizes: list[int]):
    city = city_after(feed, sizes)

    said = defaultdict(list)
    for event in city.said(AirQualityHourRecorded):
        said[event.hour.seconds // 3600].append(event)
    for hour in city.store.find(Hour):
        assert [event.revision for event in said[hour.hour]] == list(range(1, hour.revision + 1))
        assert said[hour.hour][-1].index == (hour.index or 0)
        assert said[hour.hour][-1].readings_used == hour.used


@settings(max_examples=150, deadline=None)
@given(feeds, batches)
def test_an_alert_stands_exactly_when_the_published_hours_say_so(feed: list[tuple[int, int]], sizes: list[int]):
    city = city_after(feed, sizes)

    state = alerts.AlertState()
    for hour, index in indexes_of_what_was_measured(city).items():
        state, _ = alerts.step(state, hour, index, LEVEL)
    assert city.store.require(Watch, STATION).alert["active"] == state.active
    assert sum({"raised": 1, "lifted": -1}[what] for what, _, _ in _without_rises(city)) == state.active


@settings(max_examples=50, deadline=None)
@given(feeds.map(sorted), batches)
def test_in_order_the_batches_make_no_difference(feed: list[tuple[int, int]], sizes: list[int]):
    one_by_one, batched = city_after(feed, [1] * 60), city_after(feed, sizes)

    assert one_by_one.recorded() == batched.recorded()
    assert one_by_one.alerts() == batched.alerts()


def _without_rises(city: City) -> list[tuple[str, float, int]]:
    """Alerts without those that were raised while they stood."""
    kept: list[tuple[str, float, int]] = []
    for alert in city.alerts():
        if not kept or kept[-1][0] != alert[0]:
            kept.append(alert)
    return kept
