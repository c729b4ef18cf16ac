"""Which pairs the hub lets through, told from what the localities' exchanges say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mesh.stack import Stack
from mesh.stack.agreements import allowed, keep_applied
from mesh.stack.permissions import Pair, permissions

DN, HUE, HN = "da-nang", "hue", "ha-noi"
AIR: Pair = (DN, HUE)
NO_MONGODB = "mongodb://nowhere/"

slugs = st.sampled_from([DN, HUE, HN])
pairs = st.frozensets(st.tuples(slugs, slugs).filter(lambda pair: pair[0] != pair[1]))


class TestAllowed:
    """Of a pair, told by what each party last said."""

    def test_needs_the_word_of_both(self) -> None:
        """One party alone grants nothing."""
        assert allowed({DN: {AIR}, HUE: set()}, {DN, HUE}, set()) == set()
        assert allowed({DN: {AIR}}, {DN}, set()) == set()
        assert allowed({DN: {AIR}, HUE: {AIR}}, {DN, HUE}, set()) == {AIR}

    def test_grants_nothing_new_on_an_old_word(self) -> None:
        """A party that does not answer now agrees to nothing new, whatever it said before."""
        assert allowed({DN: {AIR}, HUE: {AIR}}, {DN}, set()) == set()

    def test_keeps_what_is_let_through_while_a_party_is_silent(self) -> None:
        """A restart of an exchange cuts nobody off, also right after a restart of the stack."""
        assert allowed({DN: {AIR}, HUE: {AIR}}, {DN}, {AIR}) == {AIR}
        assert allowed({DN: {AIR}}, {DN}, {AIR}) == {AIR}
        assert allowed({}, set(), {AIR}) == {AIR}

    def test_ends_with_the_word_of_one(self) -> None:
        """A revocation seen on either side applies although the other is silent or still says ACTIVE."""
        assert allowed({DN: set(), HUE: {AIR}}, {DN}, {AIR}) == set()
        assert allowed({DN: {AIR}, HUE: set()}, {DN, HUE}, {AIR}) == set()

    @given(st.dictionaries(slugs, pairs), pairs, st.data())
    def test_never_contradicts_a_party(
        self, known: dict[str, frozenset[Pair]], applied: frozenset[Pair], data: st.DataObject
    ) -> None:
        """Whatever is let through, no party has said no; whatever is new, both have just said yes."""
        answered = data.draw(st.frozensets(st.sampled_from(sorted(known)))) if known else frozenset()

        result = allowed(known, answered, applied)

        assert all(pair in known[slug] for pair in result for slug in pair if slug in known)
        assert all(slug in answered for pair in result - applied for slug in pair)


class TestPermissions:
    """Of leaf links at the hub."""

    @given(pairs, slugs)
    def test_of_a_locality_name_its_own_pairs_only(self, granted: frozenset[Pair], slug: str) -> None:
        """Every subject names one stream, and that stream is one of the locality's own pairs."""
        mine = permissions(granted).get(slug)
        subjects = [] if mine is None else mine.publish + mine.subscribe
        streams = {f"SHARED_{a}_TO_{b}".upper().replace("-", "_") for a, b in granted if slug in (a, b)}

        assert all(any(stream in subject.split(".") for stream in streams) for subject in subjects)
        assert bool(subjects) == bool(streams)


class TestTheHub:
    """Of a stack that is told which agreements are active."""

    async def test_follows_the_agreements(self, tmp_path: Path) -> None:
        """What becomes active is let through, what ends is taken back, and a hub that was down catches up."""
        active: set[Pair] = {AIR}

        async def active_pairs() -> set[Pair]:
            return set(active)

        async with Stack(
            [DN, HUE, HN], tmp_path, serve=False, mongodb_uri=NO_MONGODB, active_pairs=active_pairs
        ) as stack:
            await _applied(stack, {AIR})
            active.add((HUE, DN))
            await _applied(stack, {AIR, (HUE, DN)})

            await stack.child("hub").kill(restart=False)
            active.discard(AIR)
            await stack.child("hub").start()
            await _applied(stack, {(HUE, DN)})

    async def test_begins_with_no_more_than_was_agreed(self, tmp_path: Path) -> None:
        """When the hub cannot be reached while a pair is revoked, a next start does not let it through again."""
        async with Stack([DN, HUE], tmp_path, serve=False, mongodb_uri=NO_MONGODB) as stack:
            assert stack.bus is not None
            await stack.bus.hub.apply([AIR, (HUE, DN)])
            await stack.child("hub").kill(restart=False)
            task = asyncio.create_task(keep_applied(stack.bus.hub, _returning({(HUE, DN)}), interval_s=0.01))
            async with asyncio.timeout(10):
                while [list(AIR)] == [pair for pair in _written(stack) if pair == list(AIR)]:
                    await asyncio.sleep(0.01)
            task.cancel()

        async with Stack([DN, HUE], tmp_path, serve=False, mongodb_uri=NO_MONGODB) as stack:
            assert stack.bus is not None
            assert stack.bus.hub.applied == {(HUE, DN)}


def _returning(result: set[Pair]) -> Callable[[], Awaitable[set[Pair]]]:
    async def active_pairs() -> set[Pair]:
        return result

    return active_pairs


def _written(stack: Stack) -> list[list[str]]:
    assert stack.bus is not None
    pairs: list[list[str]] = json.loads(stack.bus.hub.applied_file.read_text())["pairs"]
    return pairs


async def _applied(stack: Stack, wanted: set[Pair]) -> None:
    async with asyncio.timeout(20):
        while sorted(map(tuple, _written(stack))) != sorted(wanted):
            await asyncio.sleep(0.02)
