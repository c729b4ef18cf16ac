"""What floods, bad air, road works and incidents do to roads, and that it ends with them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lienthong.administration.v1 import PERMIT_KIND_PUBLIC_EVENT as PUBLIC_EVENT
from lienthong.environment import v1 as environment
from lienthong.transport import v1
from mesh.errors import FailedPrecondition, NotFound
from services.transport.documents import caused_restriction_id
from tests.unit.transport.happenings import (
    PERMIT,
    STATION,
    air_lifted,
    air_raised,
    flood_escalated,
    flood_lifted,
    flood_lowered,
    flood_raised,
    incident_changed,
    incident_cleared,
    incident_reported,
    permit_cancelled,
    permit_changed,
    permit_granted,
)
from tests.unit.transport.roads import HERE, Roads, Told, at, life, new_roads, segment

FLOOD = caused_restriction_id(HERE, "environment/flood_alarm", STATION)
WORKS = caused_restriction_id(HERE, "administration/permit", PERMIT)


class TestAFlood:
    """Level III closes what is prone and near; lower levels warn."""

    @pytest.mark.parametrize("level", [1, 2])
    def test_warns_at_lower_levels(self, roads: Roads, level: int) -> None:
        roads.hear(*life(flood_raised(level)))

        [restriction] = roads.restrictions()
        assert (restriction.effect, restriction.severity) == (v1.EFFECT_SIGNIFICANT_DELAYS, v1.SEVERITY_WARNING)
        assert restriction.cause == v1.CAUSE_WEATHER
        assert "Ái Nghĩa" in restriction.note

    def test_closes_what_is_prone_and_within_reach_at_level_three(self, roads: Roads) -> None:
        roads.hear(*life(flood_raised(3)))

        [restriction] = roads.restrictions()
        assert (restriction.effect, restriction.severity) == (v1.EFFECT_NO_SERVICE, v1.SEVERITY_SEVERE)
        assert [one.id for one in restriction.segments] == ["low"]
        assert restriction.segments[0].line == segment("low", 100).line
        assert list(restriction.vehicle_classes) == []
        assert getattr(restriction, "from") == at(1)
        assert not restriction.HasField("until")

    def test_says_which_happening_the_restriction_follows(self, roads: Roads) -> None:
        roads.hear(*life(flood_raised(3)))

        [said] = roads.said(v1.RoadRestrictionImposed)
        assert said.restriction_id == FLOOD
        assert said.caused_by == v1.CausingEvent(
            origin=HERE,
            topic="environment/flood_alarm",
            key=STATION,
            type="lienthong.environment.v1.FloodAlarmRaised",
            event_id=f"{STATION}-1",
        )

    def test_has_one_restriction_from_its_first_word_to_its_last(self, roads: Roads) -> None:
        """As in the flood journey: warned, worse but the same, closed, warned again, open."""
        roads.hear(
            *life(
                flood_raised(1),
                flood_escalated(2),
                flood_escalated(3),
                flood_lowered(2),
                flood_lowered(1),
                flood_lifted(),
            )
        )

        assert roads.kinds() == ["Imposed", "Changed", "Changed", "Lifted"]
        [ended] = roads.said(v1.RoadRestrictionLifted)
        assert (ended.reason, ended.cause, ended.revision) == (v1.LIFT_REASON_CAUSE_ENDED, v1.CAUSE_WEATHER, 4)
        assert [one.state for one in roads.restrictions()] == [v1.RESTRICTION_STATE_LIFTED]

    def test_that_returns_imposes_the_same_restriction_again(self, roads: Roads) -> None:
        roads.hear(*life(flood_raised(3), flood_lifted(), flood_raised(1)))

        [restriction] = roads.restrictions()
        assert (restriction.id, restriction.state, restriction.revision) == (FLOOD, v1.RESTRICTION_STATE_IMPOSED, 3)
        assert not restriction.HasField("lifted_at")
        assert roads.kinds() == ["Imposed", "Lifted", "Imposed"]

    def test_whose_end_comes_first_leaves_nothing(self, roads: Roads) -> None:
        raised, lifted = life(flood_raised(3), flood_lifted())

        roads.hear(lifted, raised)

        assert roads.kinds() == []
        assert roads.restrictions() == []
        with pytest.raises(NotFound):
            roads.call("get_restriction", restriction_id=FLOOD)

    def test_with_no_prone_road_in_reach_restricts_nothing(self, roads: Roads) -> None:
        roads.hear(*life(flood_raised(3, reach_m=50)))

        assert roads.kinds() == []

    def test_that_no_longer_reaches_a_road_frees_it(self, roads: Roads) -> None:
        raised, escalated = life(flood_raised(1), flood_raised(3, reach_m=50))

        roads.hear(raised, escalated)

        assert roads.kinds() == ["Imposed", "Lifted"]

    def test_never_closes_fewer_roads_than_it_should(self) -> None:
        """More than an event can carry is a dead letter that names the radius, not a silent rest."""
        roads = new_roads(segment(f"s{n:04}", 10) for n in range(1001))

        with pytest.raises(FailedPrecondition, match="5000 m"):
            roads.hear(*life(flood_raised(3)))

    def test_level_above_those_known_closes_too(self, roads: Roads) -> None:
        roads.hear(*life(flood_raised(4)))

        assert [one.effect for one in roads.restrictions()] == [v1.EFFECT_NO_SERVICE]


class TestBadAir:
    """From band Xấu up heavy trucks keep out."""

    @pytest.mark.parametrize(
        "band", [environment.BAND_BAD, environment.BAND_VERY_BAD, environment.BAND_HAZARDOUS], ids=str
    )
    def test_keeps_heavy_trucks_off_all_roads_near(self, roads: Roads, band: int) -> None:
        roads.hear(*life(air_raised(band)))

        [restriction] = roads.restrictions()
        assert [one.id for one in restriction.segments] == ["high", "low"]
        assert list(restriction.vehicle_classes) == [v1.VEHICLE_CLASS_HEAVY_TRUCK]
        assert (restriction.effect, restriction.severity) == (v1.EFFECT_REDUCED_SERVICE, v1.SEVERITY_WARNING)

    @pytest.mark.parametrize("band", [environment.BAND_MODERATE, environment.BAND_POOR], ids=str)
    def test_in_a_lower_band_restricts_nothing(self, roads: Roads, band: int) -> None:
        roads.hear(*life(air_raised(band)))

        assert roads.kinds() == []

    def test_that_gets_bad_later_does(self, roads: Roads) -> None:
        roads.hear(*life(air_raised(environment.BAND_POOR), air_raised(environment.BAND_BAD), air_lifted()))

        assert roads.kinds() == ["Imposed", "Lifted"]

    def test_that_gets_worse_says_nothing_new(self, roads: Roads) -> None:
        roads.hear(*life(air_raised(environment.BAND_BAD), air_raised(environment.BAND_HAZARDOUS)))

        assert roads.kinds() == ["Imposed"]

    def test_and_a_flood_at_one_place_are_two_happenings(self, roads: Roads) -> None:
        roads.hear(*life(air_raised(), air_lifted()), *life(flood_raised(3)))

        assert [one.caused_by.topic for one in roads.restrictions(state=v1.RESTRICTION_STATE_IMPOSED)] == [
            "environment/flood_alarm"
        ]


class TestRoadWorks:
    """A permit restricts its segments for its dates."""

    @pytest.mark.parametrize(("full", "effect"), [(True, v1.EFFECT_NO_SERVICE), (False, v1.EFFECT_REDUCED_SERVICE)])
    def test_close_or_narrow_their_segments_for_their_time(self, roads: Roads, full: bool, effect: int) -> None:
        roads.hear(*life(permit_granted("high", "low", full_closure=full)))

        [restriction] = roads.restrictions()
        assert (restriction.id, restriction.cause, restriction.effect) == (WORKS, v1.CAUSE_CONSTRUCTION, effect)
        assert [one.id for one in restriction.segments] == ["high", "low"]
        assert (getattr(restriction, "from"), restriction.until) == (at(14), at(20))
        assert restriction.note == "Sửa cống"

    def test_moved_in_time_or_place_are_told_again(self, roads: Roads) -> None:
        later, there = {"from": at(15)}, permit_changed("high", **{"from": at(15)})
        roads.hear(*life(permit_granted("low"), permit_changed("low", **later), there))

        assert roads.kinds() == ["Imposed", "Changed", "Changed"]
        assert [one.id for one in roads.said(v1.RoadRestrictionChanged)[-1].segments] == ["high"]

    def test_with_only_another_title_say_nothing_new(self, roads: Roads) -> None:
        roads.hear(*life(permit_granted("low"), permit_changed("low", title="Sửa đường")))

        assert roads.kinds() == ["Imposed"]
        assert [one.note for one in roads.restrictions()] == ["Sửa đường"]

    def test_that_are_cancelled_free_their_segments(self, roads: Roads) -> None:
        roads.hear(*life(permit_granted("low"), permit_cancelled()))

        assert roads.kinds() == ["Imposed", "Lifted"]

    def test_end_by_the_clock_when_their_time_is_over(self, roads: Roads) -> None:
        roads.hear(*life(permit_granted("low")))
        roads.clock.advance(timedelta(hours=8))

        assert roads.service.lift_over_restrictions() is False

        [ended] = roads.said(v1.RoadRestrictionLifted)
        assert ended.reason == v1.LIFT_REASON_TIME_OVER

    def test_prolonged_after_their_end_are_imposed_again(self, roads: Roads) -> None:
        granted, changed = life(permit_granted("low"), permit_changed("low", until=at(30)))
        roads.hear(granted)
        roads.clock.advance(timedelta(hours=9))
        roads.service.lift_over_restrictions()

        roads.hear(changed)

        assert roads.kinds() == ["Imposed", "Lifted", "Imposed"]

    def test_cancelled_after_their_end_say_nothing_more(self, roads: Roads) -> None:
        granted, cancelled = life(permit_granted("low"), permit_cancelled())
        roads.hear(granted)
        roads.clock.advance(timedelta(hours=9))
        roads.service.lift_over_restrictions()

        roads.hear(cancelled)

        assert roads.kinds() == ["Imposed", "Lifted"]

    def test_heard_of_when_they_are_over_restrict_nothing(self, roads: Roads) -> None:
        roads.clock.advance(timedelta(hours=9))

        roads.hear(*life(permit_granted("low")))

        assert roads.kinds() == []
        [restriction] = roads.restrictions()
        assert (restriction.state, restriction.lifted_at) == (v1.RESTRICTION_STATE_LIFTED, at(20))

    def test_of_segments_that_do_not_exist_restrict_the_others(self, roads: Roads) -> None:
        roads.hear(*life(permit_granted("low", "nowhere")))

        assert [[one.id for one in found.segments] for found in roads.restrictions()] == [["low"]]

    def test_are_the_only_permits_that_concern_roads(self, roads: Roads) -> None:
        roads.hear(*life(permit_granted("low", purpose=PUBLIC_EVENT), permit_cancelled(PUBLIC_EVENT)))

        assert roads.kinds() == []


class TestAnIncident:
    """Restricts its segments as it says."""

    def test_restricts_its_segments_with_its_own_effect(self, roads: Roads) -> None:
        roads.hear(*life(incident_reported("low", reported_at=at(5))))

        [restriction] = roads.restrictions()
        assert (restriction.cause, restriction.effect) == (v1.CAUSE_ACCIDENT, v1.EFFECT_NO_SERVICE)
        assert restriction.severity == v1.SEVERITY_SEVERE
        assert restriction.caused_by.topic == "transport/incident"

    def test_without_effect_restricts_nothing(self, roads: Roads) -> None:
        roads.hear(*life(incident_reported("low", effect=v1.EFFECT_NO_EFFECT)))

        assert roads.kinds() == []

    def test_that_loses_its_effect_frees_its_segments(self, roads: Roads) -> None:
        roads.hear(*life(incident_reported("low"), incident_changed("low", effect=v1.EFFECT_NO_EFFECT)))

        assert roads.kinds() == ["Imposed", "Lifted"]

    def test_whose_cause_turns_out_another_ends_its_restriction_and_imposes_it_anew(self, roads: Roads) -> None:
        """Who follows restrictions of one cause, as dust watches do, must hear of their end."""
        roads.hear(
            *life(
                incident_reported("low", cause=v1.CAUSE_CONSTRUCTION), incident_changed("low", cause=v1.CAUSE_ACCIDENT)
            )
        )

        assert roads.kinds() == ["Imposed", "Lifted", "Imposed"]
        assert roads.said(v1.RoadRestrictionLifted)[0].cause == v1.CAUSE_CONSTRUCTION
        assert [one.revision for one in roads.restrictions()] == [3]

    def test_that_is_cleared_frees_its_segments_and_answers_nobody(self, roads: Roads) -> None:
        roads.hear(*life(incident_reported("low"), incident_cleared()))

        assert roads.kinds() == ["Imposed", "Lifted"]
        assert roads.administration.answers == []


def test_the_same_happening_of_two_keys_is_two_restrictions(roads: Roads) -> None:
    roads.hear(Told(incident_reported("low"), 1), Told(incident_reported("low", incident_id="incident-2"), 2))

    assert len({one.id for one in roads.restrictions()}) == 2
