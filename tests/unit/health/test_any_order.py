"""However alerts come in, in the end the same advice stands as if they had come once and in order."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lienthong.health.v1 import HealthAdvisoryIssued, HealthAdvisoryWithdrawn
from tests.unit.health.locality import Locality, new_locality

Told = tuple[str, str, int, int]
"""Origin, station, revision of the key, and band; 0 is a lifted alert."""

THINGS = [("da-nang", "a"), ("da-nang", "b"), ("hue", "a")]
"""Stations, two of them of the same name."""


def of_one(thing: tuple[str, str], bands: list[int]) -> list[Told]:
    """The alerts of a station; revisions grow, and are not contiguous."""
    return [(*thing, 2 * number, band) for number, band in enumerate(bands, 1)]


bands = st.lists(st.integers(0, 6), max_size=6)
stories = st.tuples(bands, bands, bands).map(
    lambda lives: [told for thing, life in zip(THINGS, lives, strict=True) for told in of_one(thing, life)]
)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Told], list[Told]]:
    """A story, and the order it comes in: shuffled, some of it twice, some only after all the rest."""
    story = draw(stories)
    again = draw(st.lists(st.sampled_from(story), max_size=6)) if story else []
    shuffled = draw(st.permutations([*story, *again]))
    late = draw(st.sets(st.sampled_from(story))) if story else set()
    return story, [one for one in shuffled if one not in late] + [one for one in shuffled if one in late]


def after(alerts: list[Told]) -> Locality:
    locality = new_locality()
    for origin, station, revision, band in alerts:
        if band:
            locality.raised(revision, band, origin, station)
        else:
            locality.lifted(revision, origin, station)
    return locality


@given(deliveries())
def test_the_advice_that_stands_is_that_of_the_run_in_order(delivery: tuple[list[Told], list[Told]]) -> None:
    story, delivered = delivery

    assert after(delivered).standing() == after(story).standing()


@given(deliveries())
def test_the_events_alone_tell_what_stands(delivery: tuple[list[Told], list[Told]]) -> None:
    """Each advice is issued, perhaps for another band, withdrawn, issued again; the last word is what is listed."""
    locality = after(delivery[1])

    said = defaultdict(list)
    for event in locality.emitted.messages:
        said[event.advisory_id].append(event)
    for events in said.values():
        assert isinstance(events[0], HealthAdvisoryIssued)
        for before, now in pairwise(events):
            assert not (isinstance(before, HealthAdvisoryWithdrawn) and isinstance(now, HealthAdvisoryWithdrawn))
            assert getattr(before, "band", 0) != getattr(now, "band", 0)
    told = {id: events[-1].band for id, events in said.items() if isinstance(events[-1], HealthAdvisoryIssued)}
    assert told == {id: band for id, _, _, band, *_ in locality.standing()}
