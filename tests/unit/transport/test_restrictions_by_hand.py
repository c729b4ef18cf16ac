"""Restrictions an operator imposes, changes and lifts, and lists of all there are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lienthong.transport import v1
from mesh.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from tests.unit.transport.happenings import flood_lifted, flood_raised, permit_granted
from tests.unit.transport.roads import Roads, at, life


def said(**given: Any) -> dict[str, Any]:
    return {"effect": v1.EFFECT_DETOUR, "segment_ids": ["low"], "note": "Đi đường vòng.", **given}


def impose(roads: Roads, **given: Any) -> v1.RoadRestriction:
    return roads.call("impose_restriction", **{"cause": v1.CAUSE_HOLIDAY, **said(**given)}).restriction


def change(roads: Roads, id: str, **given: Any) -> v1.RoadRestriction:
    return roads.call("change_restriction", restriction_id=id, **said(**given)).restriction


def lift(roads: Roads, id: str) -> v1.RoadRestriction:
    return roads.call("lift_restriction", restriction_id=id).restriction


class TestImposing:
    """A restriction of segments that exist, for a time that is not over."""

    def test_begins_now_and_has_no_end_unless_told(self, roads: Roads) -> None:
        restriction = impose(roads)

        assert restriction.state == v1.RESTRICTION_STATE_IMPOSED
        assert (getattr(restriction, "from"), restriction.imposed_at, restriction.revision) == (at(12), at(12), 1)
        assert not restriction.HasField("until")
        assert not restriction.HasField("caused_by")
        assert restriction.severity == v1.SEVERITY_UNKNOWN
        [event] = roads.said(v1.RoadRestrictionImposed)
        assert (event.restriction_id, event.segments) == (restriction.id, restriction.segments)

    def test_may_be_for_some_vehicles_and_for_later(self, roads: Roads) -> None:
        classes = [v1.VEHICLE_CLASS_HEAVY_TRUCK, v1.VEHICLE_CLASS_BUS, v1.VEHICLE_CLASS_BUS]

        restriction = impose(roads, vehicle_classes=classes, **{"from": at(20), "until": at(22)})

        assert list(restriction.vehicle_classes) == [v1.VEHICLE_CLASS_BUS, v1.VEHICLE_CLASS_HEAVY_TRUCK]
        assert (getattr(restriction, "from"), restriction.until) == (at(20), at(22))

    @pytest.mark.parametrize(
        "times", [{"until": at(12)}, {"until": at(3)}, {"from": at(20), "until": at(20)}], ids=["now", "past", "order"]
    )
    def test_for_a_time_that_is_none_is_refused(self, roads: Roads, times: dict[str, Any]) -> None:
        with pytest.raises(InvalidArgument, match="until"):
            impose(roads, **times)

    def test_for_vehicles_of_no_class_is_refused(self, roads: Roads) -> None:
        with pytest.raises(InvalidArgument, match="vehicle_classes"):
            impose(roads, vehicle_classes=[v1.VEHICLE_CLASS_UNSPECIFIED])

    def test_on_a_segment_that_does_not_exist_is_not_found(self, roads: Roads) -> None:
        with pytest.raises(NotFound):
            impose(roads, segment_ids=["nowhere"])

        assert roads.kinds() == []

    def test_with_an_id_that_was_used_is_refused(self, roads: Roads) -> None:
        impose(roads, request_id="mine")

        with pytest.raises(AlreadyExists):
            impose(roads, request_id="mine")


class TestChanging:
    """As a whole, while it stands."""

    def test_is_told_whole(self, roads: Roads) -> None:
        restriction = impose(roads, **{"from": at(10)})

        changed = change(roads, restriction.id, effect=v1.EFFECT_NO_SERVICE, segment_ids=["high"], until=at(20))

        assert (changed.effect, changed.until, changed.revision) == (v1.EFFECT_NO_SERVICE, at(20), 2)
        assert getattr(changed, "from") == at(10)
        [event] = roads.said(v1.RoadRestrictionChanged)
        assert ([one.id for one in event.segments], event.cause) == (["high"], v1.CAUSE_HOLIDAY)

    def test_to_the_same_says_nothing(self, roads: Roads) -> None:
        restriction = impose(roads)

        assert change(roads, restriction.id).revision == 1
        assert roads.kinds() == ["Imposed"]

    def test_of_its_beginning_is_told(self, roads: Roads) -> None:
        change(roads, impose(roads).id, **{"from": at(15)})

        assert roads.kinds() == ["Imposed", "Changed"]


class TestLifting:
    """By hand, or by the clock."""

    def test_ends_it(self, roads: Roads) -> None:
        lifted = lift(roads, impose(roads).id)

        assert (lifted.state, lifted.lifted_at) == (v1.RESTRICTION_STATE_LIFTED, at(12))
        [event] = roads.said(v1.RoadRestrictionLifted)
        assert (event.reason, event.revision) == (v1.LIFT_REASON_BY_HAND, 2)
        assert not event.HasField("caused_by")

    def test_ends_it_for_good(self, roads: Roads) -> None:
        id = lift(roads, impose(roads).id).id

        for verb in (lift, change):
            with pytest.raises(FailedPrecondition) as refused:
                verb(roads, id)
            assert refused.value.allowed == ("IMPOSED",)

    def test_is_done_by_the_clock_when_its_time_is_over(self, roads: Roads) -> None:
        for hour in (14, 13, 15):
            impose(roads, until=at(hour))
        roads.clock.advance(timedelta(hours=2))

        roads.service.lift_over_restrictions()

        assert [event.reason for event in roads.said(v1.RoadRestrictionLifted)] == [v1.LIFT_REASON_TIME_OVER] * 2

    def test_by_the_clock_goes_on_while_there_is_more(self, roads: Roads) -> None:
        for _ in range(101):
            impose(roads, until=at(13))
        roads.clock.advance(timedelta(hours=2))

        assert roads.service.lift_over_restrictions() is True
        assert roads.service.lift_over_restrictions() is False
        assert len(roads.said(v1.RoadRestrictionLifted)) == 101


@pytest.mark.parametrize("verb", [lift, change])
def test_what_follows_a_happening_is_not_moved_by_hand(roads: Roads, verb: Any) -> None:
    roads.hear(*life(flood_raised(3)))
    [restriction] = roads.restrictions()

    with pytest.raises(FailedPrecondition, match="da-nang/environment/flood_alarm/ai-nghia"):
        verb(roads, restriction.id)


@pytest.mark.parametrize("verb", [lift, change])
def test_what_there_never_was_is_not_moved(roads: Roads, verb: Any) -> None:
    """Also what a happening left that never called for a restriction."""
    roads.hear(*life(flood_lifted()))

    with pytest.raises(NotFound):
        verb(roads, "none")


class TestLists:
    """By id, by page, by everything an operator asks for."""

    def listed(self, roads: Roads, **request: Any) -> set[str]:
        return {one.id for one in roads.restrictions(**request)}

    def test_go_by_segment_cause_effect_state_and_topic(self, roads: Roads) -> None:
        ours, over = impose(roads).id, lift(roads, impose(roads, segment_ids=["low", "high"]).id).id
        roads.hear(*life(flood_raised(3)), *life(permit_granted("high")))
        flood = self.listed(roads, cause_topic="environment/flood_alarm")
        works = self.listed(roads, cause=v1.CAUSE_CONSTRUCTION)

        assert self.listed(roads) == {ours, over} | flood | works
        assert self.listed(roads, segment_id="high") == {over} | works
        assert self.listed(roads, effect=v1.EFFECT_DETOUR) == {ours, over}
        assert self.listed(roads, state=v1.RESTRICTION_STATE_LIFTED) == {over}
        assert self.listed(roads, segment_id="low", effect=v1.EFFECT_NO_SERVICE) == flood

    def test_of_a_moment_show_what_stands_and_holds_then(self, roads: Roads) -> None:
        endless, later = impose(roads).id, impose(roads, **{"from": at(14), "until": at(16)}).id
        lift(roads, impose(roads).id)

        assert self.listed(roads, active_at=at(11)) == set()
        assert self.listed(roads, active_at=at(13)) == {endless}
        assert self.listed(roads, active_at=at(14)) == {endless, later}
        assert self.listed(roads, active_at=at(16)) == {endless}
        assert self.listed(roads, active_at=at(13), state=v1.RESTRICTION_STATE_LIFTED) == set()

    def test_come_by_page(self, roads: Roads) -> None:
        ids = sorted(impose(roads).id for _ in range(5))

        first = roads.call("list_restrictions", page_size=3)
        second = roads.call("list_restrictions", page_size=3, page_token=first.next_page_token)

        assert [one.id for one in (*first.restrictions, *second.restrictions)] == ids
        assert second.next_page_token == ""

    def test_do_not_show_what_never_stood(self, roads: Roads) -> None:
        roads.hear(*life(flood_lifted()))

        assert roads.restrictions() == []
