"""Whatever breaks in whatever order: a subscriber is sent what it is entitled to, in the order of each log, once."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.events.wish import Wish
from mesh.errors import ResourceExhausted
from tests.unit.gateway_events.outside import Outside, Reader

SERVICES = 3

commits = st.tuples(
    st.just("commit"),
    st.integers(0, SERVICES - 1),
    st.sampled_from(["a", "b", ""]),
    st.one_of(st.none(), st.integers(1, 9)),
)
follows = st.tuples(st.just("follow"), st.integers(0, SERVICES - 1))
reads = st.tuples(st.just("read"), st.integers(1, 4))
breaks = st.tuples(st.just("break"))
restarts = st.tuples(st.just("restart"), st.lists(st.integers(0, 4), min_size=SERVICES, max_size=SERVICES))
wishes = st.fixed_dictionaries(
    {},
    optional={
        "keys": st.sampled_from([["a"], ["b"], ["a", "b"]]),
        "types": st.sampled_from([["trial.v1.AmountRecorded"], ["trial.v1.AmountForgotten"]]),
    },
)


@settings(max_examples=400, deadline=None)
@given(wish=wishes, story=st.lists(st.one_of(commits, commits, follows, follows, reads, breaks, restarts), max_size=60))
def test_any_interleaving_gives_exactly_the_entitled_events_once(wish, story) -> None:
    asyncio.run(told(wish, story))


async def told(wish, story) -> None:
    outside = Outside(SERVICES, ring_events=3)
    reader = Reader(outside, **wish)
    for step, *how in story:
        if step == "commit":
            outside.commit(*how)
        elif step == "follow":
            outside.follow(*how)
        elif step == "read":
            await take(reader, *how)
        elif step == "break":
            reader.break_off()
        else:
            outside.restart(*how)
            reader.break_off()
    await rest(outside, reader)
    for history in outside.histories:
        theirs = {delivery.headers.get("ce-id") for delivery in history.entries}
        expected = [entry.headers["ce-id"] for entry in history.entries if wanted(entry, wish)]
        assert [id for id, _ in reader.seen if id in theirs] == expected
    assert len(reader.seen) == len(set(reader.seen))


def wanted(entry, wish) -> bool:
    return bool(
        entry.headers
        and ("keys" not in wish or entry.key in wish["keys"])
        and ("types" not in wish or entry.type in wish["types"])
    )


async def take(reader: Reader, count: int) -> None:
    """As a client does: who is cut off for being slow resumes."""
    for _ in range(count):
        try:
            await reader.read()
        except ResourceExhausted:
            reader.break_off()


async def rest(outside: Outside, reader: Reader) -> None:
    """All that was committed has been followed, and the reader has taken all there is."""
    for service, history in enumerate(outside.histories):
        for _ in history.entries:
            outside.follow(service)
            await take(reader, 1)
    entries = sum(len(history.entries) for history in outside.histories)
    await take(reader, 2 * entries + 5)


async def test_a_ring_that_moves_on_while_one_catches_up_is_not_joined_too_early() -> None:
    outside = Outside(1, ring_events=3)
    reader = Reader(outside)
    for n in range(5):
        outside.commit(0, "a", n)
    outside.restart([3])
    outside.commit(0, "a", 5)

    await rest(outside, reader)

    assert len(reader.seen) == 6


async def test_a_place_before_the_ring_cannot_follow_it() -> None:
    outside = Outside(1, ring_events=1)
    for n in range(3):
        outside.commit(0, "a", n)
        outside.follow(0)

    with pytest.raises(ValueError, match="before the ring"):
        outside.ring.follow(Wish((), frozenset(), frozenset()), (1,), lambda: None)


async def test_deliveries_of_one_view_are_made_once() -> None:
    outside = Outside(1)
    subscriptions = [outside.subscribe((0,)) for _ in range(3)]
    for subscription in subscriptions:
        await subscription.next()
    outside.commit(0, "a", 1)
    outside.follow(0)

    deliveries = [await subscription.next() for subscription in subscriptions]

    [entry] = outside.ring.entries
    assert len(entry.parts) == 1
    assert deliveries[0] == deliveries[1] == deliveries[2]


async def test_the_ring_is_bounded_by_bytes_too() -> None:
    outside = Outside(1, ring_events=1000)
    outside.ring._most_bytes = 10_000

    for n in range(100):
        outside.commit(0, "a", n)
        outside.follow(0)

    assert outside.ring.bytes <= 10_000
    assert outside.ring.tail == (100 - len(outside.ring.entries),)


async def test_a_lane_nobody_follows_goes() -> None:
    outside = Outside(1)
    async with outside.subscribe((0,), keys=["a"]) as subscription:
        await subscription.next()
        await subscription.next()
        assert outside.ring._lanes

    assert not outside.ring._lanes


async def test_a_position_that_does_not_follow_is_refused() -> None:
    outside = Outside(1)

    with pytest.raises(ValueError, match="does not follow"):
        outside.ring.advance(0, 3)
