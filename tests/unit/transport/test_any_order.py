"""Whatever order the events of happenings come in, however often, and whatever comes only later: in the end the same
restrictions stand as if all had come once and in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lienthong.transport import v1
from tests.unit.transport.happenings import (
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
from tests.unit.transport.roads import Roads, Told, at, life, new_roads, segment

SEGMENTS = [segment("low", 100), segment("near", 3500), segment("high", 200, flood_prone=False)]
_PLACES = st.lists(st.sampled_from(["low", "near", "high"]), min_size=1, max_size=3, unique=True)
_HOURS = st.integers(0, 11)


def _lives(event: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Told]]:
    """Any events of one happening; the rule looks at one event at a time, so they need not be a sensible story."""
    return st.lists(event, max_size=5).map(lambda messages: life(*messages))


def _built(kind: Callable[..., Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda places, **given: kind(*places, **given), _PLACES, **fields)


_FLOODS = _lives(
    st.one_of(
        st.builds(flood_raised, st.integers(1, 3), _HOURS, reach_m=st.sampled_from([50.0, 1000.0, 5000.0])),
        st.builds(flood_escalated, st.integers(2, 3), _HOURS),
        st.builds(flood_lowered, st.integers(1, 2), _HOURS),
        st.builds(flood_lifted, _HOURS),
    )
)
_AIRS = _lives(st.one_of(st.builds(air_raised, st.integers(2, 6), _HOURS), st.builds(air_lifted, _HOURS)))
_UNTIL = st.sampled_from([at(6), at(20), at(30)])
"""The first is over already."""
_PERMITS = _lives(
    st.one_of(
        _built(permit_granted, until=_UNTIL, full_closure=st.booleans()),
        _built(permit_changed, until=_UNTIL, full_closure=st.booleans()),
        st.builds(permit_cancelled),
    )
)
_EFFECTS = st.sampled_from([v1.EFFECT_NO_SERVICE, v1.EFFECT_DETOUR, v1.EFFECT_NO_EFFECT])
_CAUSES = st.sampled_from([v1.CAUSE_ACCIDENT, v1.CAUSE_CONSTRUCTION])
_INCIDENTS = _lives(
    st.one_of(
        _built(incident_reported, effect=_EFFECTS, cause=_CAUSES),
        _built(incident_changed, effect=_EFFECTS, cause=_CAUSES),
        st.builds(incident_cleared),
    )
)
_HAPPENINGS = st.tuples(_FLOODS, _AIRS, _PERMITS, _INCIDENTS).map(
    lambda lives: [told for life in lives for told in life]
)


def _after(events: list[Told]) -> Roads:
    roads = new_roads(SEGMENTS)
    roads.hear(*events)
    return roads


@given(_HAPPENINGS, st.data())
def test_any_interleaving_ends_as_the_order_does(events: list[Told], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(events))

    assert _after(shuffled).standing() == _after(events).standing()


@given(_HAPPENINGS, st.data())
def test_what_comes_twice_counts_once(events: list[Told], data: st.DataObject) -> None:
    repeated = data.draw(
        st.permutations(events + data.draw(st.lists(st.sampled_from(events)) if events else st.just([])))
    )

    assert _after(repeated).standing() == _after(events).standing()


@given(_HAPPENINGS, st.data())
def test_what_was_left_out_and_comes_later_changes_nothing_in_the_end(events: list[Told], data: st.DataObject) -> None:
    """As with a dead letter that is retried when all else is done."""
    late = data.draw(st.sets(st.integers(0, len(events))))
    first = [told for index, told in enumerate(events) if index not in late]
    rest = [told for index, told in enumerate(events) if index in late]

    assert _after(first + rest).standing() == _after(events).standing()


@given(_HAPPENINGS, st.data())
def test_the_events_alone_tell_what_stands(events: list[Told], data: st.DataObject) -> None:
    """Who only hears of restrictions and keeps the highest revision knows the same as who asks."""
    roads = _after(data.draw(st.permutations(events)))
    heard: dict[str, Any] = {}
    for message in roads.emitted.messages:
        assert message.restriction_id not in heard or message.revision == heard[message.restriction_id].revision + 1
        heard[message.restriction_id] = message

    told = {id: said for id, said in heard.items() if not isinstance(said, v1.RoadRestrictionLifted)}
    asked = {one.id: one for one in roads.restrictions(state=v1.RESTRICTION_STATE_IMPOSED)}
    assert told.keys() == asked.keys()
    for id, said in told.items():
        assert (said.effect, said.severity, said.until) == (asked[id].effect, asked[id].severity, asked[id].until)
        assert (said.segments, said.vehicle_classes) == (asked[id].segments, asked[id].vehicle_classes)
