"""Road works near a station tighten its level for their time, whatever order they are heard of in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lienthong.environment.v1 import (
    DUST_WATCH_STATE_ENDED,
    DUST_WATCH_STATE_STANDING,
    AirQualityAlertRaised,
    ListDustWatchesRequest,
)
from lienthong.transport.v1 import CAUSE_ACCIDENT, RoadRestrictionChanged, RoadRestrictionImposed
from services.environment.documents import Hour, Watch
from services.environment.dust_level import level_of
from services.environment.settings import EnvironmentSettings
from tests.unit.environment.city import MIDNIGHT, STATION, City, hours_of, new_city, reading
from tests.unit.environment.road_works import Cause, RoadWorks, at, place, standing, watches

PM25_OF_INDEX_86 = 43
MODERATE = 2
START = int(MIDNIGHT.timestamp()) // 3600


@pytest.fixture
def works(city: City) -> RoadWorks:
    return RoadWorks(city)


def raised(city: City) -> list[tuple[int, int, int]]:
    """Alerts as (hours after midnight, band, level passed)."""
    said = city.said(AirQualityAlertRaised)
    return [((one.raised_at.seconds - START * 3600) // 3600, one.band, one.alert_index) for one in said]


class TestAWatch:
    """Which stations it concerns, and when it ends."""

    def test_concerns_stations_within_the_radius_of_a_segment(self, city: City, works: RoadWorks) -> None:
        place(city, 300, "near")
        place(city, 520, "far")

        works.impose(10_000, 0, start=1, until=5)

        (watch,) = watches(city)
        assert (watch.id, list(watch.station_ids)) == ("works", [STATION, "near"])
        assert (getattr(watch, "from"), watch.until) == (at(1), at(5))
        assert (watch.state, watch.alert_index, watch.causation_id) == (DUST_WATCH_STATE_STANDING, 75, "event-1")

    def test_has_no_end_while_that_is_not_known(self, city: City, works: RoadWorks) -> None:
        works.impose(0)

        assert not watches(city)[0].HasField("until")

    def test_follows_changes(self, city: City, works: RoadWorks) -> None:
        place(city, 2000, "other")
        works.impose(0, until=5)

        works.change(2000, until=9)

        (watch,) = watches(city)
        assert (list(watch.station_ids), watch.until, watch.causation_id) == (["other"], at(9), "event-2")
        assert city.store.require(Watch, STATION).dust == {}

    def test_ends_when_the_restriction_is_lifted(self, city: City, works: RoadWorks) -> None:
        works.impose(0, until=9)

        works.lift(4)

        (watch,) = watches(city)
        assert (watch.state, watch.until, list(watch.station_ids)) == (DUST_WATCH_STATE_ENDED, at(4), [STATION])

    def test_ends_no_later_than_it_was_to(self, city: City, works: RoadWorks) -> None:
        works.impose(0, until=3)

        works.lift(4)

        assert watches(city)[0].until == at(3)

    def test_that_ended_before_it_began_never_held(self, city: City, works: RoadWorks) -> None:
        works.impose(0, start=5, until=9)

        works.lift(4)

        assert city.store.require(Watch, STATION).dust == {}

    def test_stands_again_when_the_restriction_does(self, city: City, works: RoadWorks) -> None:
        works.impose(0, until=3)
        works.lift(3)

        works.impose(0, start=6, until=9)

        assert standing(city).keys() == {"works"}

    def test_is_not_made_for_restrictions_of_another_cause(self, city: City, works: RoadWorks) -> None:
        works.impose(0, cause=CAUSE_ACCIDENT)
        works.lift(3, cause=CAUSE_ACCIDENT)

        assert watches(city) == []

    def test_of_an_end_that_came_first_is_not_listed_and_keeps_the_beginning_out(self, city: City) -> None:
        works = RoadWorks(city, revision=1)
        works.lift(4)
        works.revision = 0

        works.impose(0)

        assert watches(city) == []
        assert city.store.get(Watch, STATION) is None

    def test_ignores_what_it_has_heard_of(self, city: City, works: RoadWorks) -> None:
        works.impose(0, until=3)
        works.change(0, until=9)
        works.revision = 0

        works.impose(0, until=3)

        assert watches(city)[0].until == at(9)

    def test_without_a_line_concerns_nobody(self, city: City, works: RoadWorks) -> None:
        imposed = works.imposed(RoadRestrictionImposed, (0,), 0, None)
        imposed.segments[0].ClearField("line")

        city.service.tighten_near_road_works(imposed, Cause(1))

        assert list(watches(city)[0].station_ids) == []


class TestAStation:
    """Registered or moved while a watch stands."""

    def test_that_is_new_comes_under_the_watches_near_it(self, city: City, works: RoadWorks) -> None:
        works.impose(2000)

        place(city, 2100, "new")

        assert list(watches(city)[0].station_ids) == ["new"]
        assert city.store.require(Watch, "new").dust.keys() == {"works"}

    def test_that_moves_away_leaves_them(self, city: City, works: RoadWorks) -> None:
        works.impose(0)

        place(city, 3000)

        assert list(watches(city)[0].station_ids) == []
        assert city.store.require(Watch, STATION).dust == {}

    def test_does_not_come_under_those_that_ended(self, city: City, works: RoadWorks) -> None:
        works.impose(2000)
        works.lift(4)

        place(city, 2100, "new")

        assert list(watches(city)[0].station_ids) == []


class TestAnHour:
    """Judged by the level of its time."""

    def test_during_road_works_raises_an_alert_at_a_lower_index(self, city: City, works: RoadWorks) -> None:
        works.impose(100, start=2)

        city.record(*hours_of(0, [PM25_OF_INDEX_86] * 5))

        assert raised(city) == [(3, MODERATE, 75)]

    def test_without_them_does_not(self, city: City, works: RoadWorks) -> None:
        works.impose(600)

        city.record(*hours_of(0, [PM25_OF_INDEX_86] * 5))

        assert raised(city) == []

    def test_after_them_counts_towards_the_end_of_the_alert(self, city: City, works: RoadWorks) -> None:
        works.impose(0, until=3)

        city.record(*hours_of(0, [PM25_OF_INDEX_86] * 7))

        assert [what for what, _, _ in city.alerts()] == ["raised", "lifted"]

    def test_tells_the_usual_level_when_it_passed_that(self, city: City) -> None:
        city.record(*hours_of(0, [62] * 3))

        assert [level for _, _, level in raised(city)] == [100]

    def test_that_is_closed_is_not_judged_again(self, city: City, works: RoadWorks) -> None:
        city.record(*hours_of(0, [PM25_OF_INDEX_86] * 4))

        works.impose(0)
        assert raised(city) == []

        city.record(reading(4, PM25_OF_INDEX_86))
        assert raised(city) == [(4, MODERATE, 75)]

    def test_is_corrected_by_the_level_it_was_closed_with(self, city: City, works: RoadWorks) -> None:
        """The road works came to light later: a late reading of that hour does not bring their level in."""
        city.record(*hours_of(0, [PM25_OF_INDEX_86] * 4))
        works.impose(0, until=4)

        city.record(reading(2.5, PM25_OF_INDEX_86))

        assert raised(city) == []
        assert {hour.alert_level for hour in city.store.find(Hour, revision__gt=0)} == {100}

    def test_that_nobody_had_measured_is_judged_by_the_level_of_its_time(self, city: City, works: RoadWorks) -> None:
        works.impose(0, start=1, until=2)
        city.record(reading(0, 20), reading(2, 20), reading(3, 20))

        city.record(reading(1, 20))

        levels = {hour.hour - START: hour.alert_level for hour in city.store.find(Hour, revision__gt=0)}
        assert levels == {0: 100, 1: 75, 2: 100}

    def test_is_never_judged_more_mildly_than_usual(self) -> None:
        city = new_city(EnvironmentSettings(alert_index=60))
        city.register()
        RoadWorks(city).impose(0)

        city.record(*hours_of(0, [PM25_OF_INDEX_86] * 3))

        assert [level for _, _, level in raised(city)] == [60]

    def test_two_days_after_road_works_forgets_them(self, city: City, works: RoadWorks) -> None:
        works.impose(0, until=2)
        city.record(reading(0), reading(49), reading(50))
        assert city.store.require(Watch, STATION).dust

        city.record(reading(51), reading(52))

        assert city.store.require(Watch, STATION).dust == {}


class TestAPage:
    """Of dust watches."""

    def test_comes_by_id(self, city: City) -> None:
        for id in "cab":
            RoadWorks(city, id).impose(0)

        first = city.service.list_dust_watches(ListDustWatchesRequest(page_size=2))
        second = city.service.list_dust_watches(ListDustWatchesRequest(page_token=first.next_page_token))

        assert [watch.id for watch in (*first.dust_watches, *second.dust_watches)] == ["a", "b", "c"]
        assert second.next_page_token == ""

    def test_can_be_of_one_station_one_state_or_one_moment(self, city: City) -> None:
        place(city, 3000, "other")
        RoadWorks(city, "here").impose(0, start=1, until=3)
        RoadWorks(city, "there").impose(3000, start=2)
        ended = RoadWorks(city, "ended")
        ended.impose(0, until=9)
        ended.lift(2)

        assert [watch.id for watch in watches(city, station_id="other")] == ["there"]
        assert [watch.id for watch in watches(city, state=DUST_WATCH_STATE_ENDED)] == ["ended"]
        assert [watch.id for watch in watches(city, at=at(1))] == ["ended", "here"]
        assert [watch.id for watch in watches(city, at=at(3))] == ["there"]


PLACES = st.integers(-4, 4).map(lambda number: 400 * number)
"""Of stations and roads, so that each is near some of the others."""
told = st.one_of(
    st.tuples(
        st.just("stand"), st.lists(PLACES, min_size=1, max_size=3), st.integers(0, 9), st.none() | st.integers(10, 20)
    ),
    st.tuples(st.just("lift"), st.integers(0, 20)),
)
histories = st.dictionaries(st.sampled_from(["w1", "w2", "w3"]), st.lists(told, min_size=1, max_size=5), min_size=1)
homes = st.dictionaries(st.sampled_from(["a", "b", "c"]), PLACES, min_size=1)


def events_of(history: dict[str, list]) -> list[tuple[str, object, Cause]]:
    """What transport tells, as (method, event, envelope)."""
    found = []
    for id, changes in history.items():
        works = RoadWorks(new_city(), id)
        for revision, (what, *rest) in enumerate(changes, start=1):
            if what == "lift":
                found.append(("relax_after_road_works", works.lifted(rest[0]), Cause(revision)))
            else:
                kind = RoadRestrictionImposed if revision % 2 else RoadRestrictionChanged
                method = "tighten_near_road_works" if revision % 2 else "follow_road_works"
                found.append((method, works.imposed(kind, tuple(rest[0]), rest[1], rest[2]), Cause(revision)))
    return found


def levels(city: City) -> dict[tuple[str, int], int]:
    """Level of each station's hours from when every lifting of the histories is over."""
    spans = {watch.id: watch.dust for watch in city.store.find(Watch)}
    return {(id, hour): level_of(START + hour, spans.get(id, {}), 100) for id in "abc" for hour in range(20, 40)}


@settings(max_examples=150, deadline=None)
@given(histories, homes, st.data())
def test_any_order_and_duplication_gives_what_the_right_order_gives(
    history: dict[str, list], homes: dict[str, int], data: st.DataObject
):
    """Stations are registered anywhere in between."""
    in_order, shuffled = new_city(), new_city()
    steps = [("place", id, metres) for id, metres in homes.items()] + events_of(history)
    again = data.draw(st.lists(st.sampled_from(steps), max_size=5))

    for city, its_steps in ((in_order, steps), (shuffled, data.draw(st.permutations(steps + again)))):
        for method, what, how in its_steps:
            if method == "place":
                place(city, how, what)
            else:
                getattr(city.service, method)(what, how)

    assert standing(shuffled) == standing(in_order)
    assert levels(shuffled) == levels(in_order)
