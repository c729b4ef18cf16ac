"""However the events of a happening come in, in the end the same notices stand as if they had come in order."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from lienthong.administration.v1 import NoticePublished, NoticeUpdated, NoticeWithdrawn
from lienthong.environment.v1 import FLOOD_LEVEL_I, FLOOD_LEVEL_II, FLOOD_LEVEL_III
from mesh.events import Event
from tests.unit.administration.notice_board import (
    HERE,
    PEER,
    Board,
    bad_air,
    escalated,
    good_air,
    lifted,
    lowered,
    new_board,
    raised,
)


def flood_of(levels: list[int], origin: str, station: str) -> list[Event]:
    """The alarms of a station whose level was each of these in turn; 0 is no alarm."""
    events: list[Event] = []
    before = 0
    for level in levels:
        revision = len(events) * 2 + 1  # grows, and is not contiguous
        if level == before:
            continue
        if level == 0:
            events.append(lifted(revision, origin, station_id=station))
        else:
            kind = raised if before == 0 else escalated if level > before else lowered
            events.append(kind(revision, level, origin, station_id=station, station_name=station))
        before = level
    return events


def air_of(bands: list[int]) -> list[Event]:
    """The alerts of an air station; 0 is good air."""
    events: list[Event] = []
    before = 0
    for band in bands:
        if band != before:
            events.append(bad_air(len(events) + 1, band) if band else good_air(len(events) + 1))
        before = band
    return events


levels = st.lists(st.sampled_from([0, FLOOD_LEVEL_I, FLOOD_LEVEL_II, FLOOD_LEVEL_III]), max_size=7)
stories = st.tuples(levels, levels, levels, st.lists(st.integers(0, 6), max_size=5)).map(
    lambda told: [
        *flood_of(told[0], PEER, "ai-nghia"),
        *flood_of(told[1], HERE, "ai-nghia"),
        *flood_of(told[2], PEER, "cam-le"),
        *air_of(told[3]),
    ]
)
"""What happened at stations here and at a peer, two of them of the same name."""


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """A story, and the order in which its events come: shuffled, some more than once, some only after all others."""
    story = draw(stories)
    again = draw(st.lists(st.sampled_from(story), max_size=6)) if story else []
    first = draw(st.permutations([*story, *again]))
    missed = set(draw(st.lists(st.integers(0, max(0, len(first) - 1)), max_size=4)))
    return story, [event for i, event in enumerate(first) if i not in missed] + [first[i] for i in missed if first]


def board_after(events: list[Event]) -> Board:
    board = new_board()
    board.hears(*events)
    return board


@settings(max_examples=300, deadline=None)
@given(deliveries())
def test_the_notices_that_stand_are_those_of_the_run_in_order(delivery: tuple[list[Event], list[Event]]):
    in_order, as_delivered = delivery

    assert board_after(as_delivered).standing() == board_after(in_order).standing()


@settings(max_examples=300, deadline=None)
@given(deliveries())
def test_what_others_are_told_of_a_notice_makes_sense_in_any_order(delivery: tuple[list[Event], list[Event]]):
    """Published, updated to say something else each time, withdrawn, published again; revisions count up."""
    board = board_after(delivery[1])

    told = defaultdict(list)
    for event in board.emitted.messages:
        told[event.notice_id].append(event)
    for events in told.values():
        assert [event.revision for event in events] == list(range(1, len(events) + 1))
        assert isinstance(events[0], NoticePublished)
        for before, after in pairwise(events):
            assert isinstance(after, NoticePublished) == isinstance(before, NoticeWithdrawn)
            if isinstance(after, NoticeUpdated):
                assert (after.severity, after.headline, after.text) != (before.severity, before.headline, before.text)


@settings(max_examples=100, deadline=None)
@given(stories)
def test_a_run_in_order_tells_each_change_once(story: list[Event]):
    """Each event of a station changes what is to be said, so each is told, and nothing else is."""
    board = board_after(story)

    assert len(board.emitted.messages) == len(story)
