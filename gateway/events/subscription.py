"""A subscription: one subscriber's deliveries, from its place on, as fast as it takes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gateway.events.catch_up import CatchUp
from gateway.events.entry import Entry, Positions, cursor_part, entry_of
from gateway.events.ring import Lane, covers, furthest
from gateway.events.wish import Wish
from mesh.errors import MeshError, ResourceExhausted, Unauthenticated
from mesh.source import Delivery

if TYPE_CHECKING:
    from gateway.events.feed import Feed


@dataclass(slots=True)
class Terms:
    """What a subscription is bound to besides its wish."""

    expires_at: float
    """When the caller's token ends, in seconds since 1970."""
    heartbeat_s: float
    now: Callable[[], float] = time.time


class Subscription:
    """Delivers every event of a wish behind a place, in the order of each log, once.

    It catches up by itself until the ring holds what follows, then shares what is made for all. An error that leaves
    its block carries the cursor of the last delivery.
    """

    def __init__(self, feed: Feed, wish: Wish, positions: Positions, terms: Terms) -> None:
        self._feed = feed
        self._ring = feed.ring
        self._wish = wish
        self._projections = dict(wish.projections)
        self._positions: Positions | None = positions
        """Where it stands; None while that is the ring's own place, which all share."""
        self._behind = CatchUp(feed.histories, positions, feed.reading)
        self._read: tuple[int, Delivery] | None = None
        """The first of what lies behind the ring, until it is looked at."""
        self._lane: Lane | None = None
        self._index = 0
        self._terms = terms
        self._place = ""
        """Cursor of the last delivery."""
        self._sent_at = 0.0
        self._waiting: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        self._feed.subscriptions.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._feed.subscriptions.discard(self)
        if self._lane is not None:
            self._ring.leave(self._lane, self.look)
        if isinstance(error, MeshError) and self._place:
            error.note(cursor=self._place)

    async def next(self) -> bytes:
        """The next delivery, serialized. The first one is a cursor alone."""
        if not self._place:
            return await self._first()
        while True:
            self._check()
            delivery = await (self._next_behind() if self._lane is None else self._next_in(self._lane))
            if delivery is not None:
                return delivery

    def look(self) -> None:
        """Wakes it: something came, or it is time to look at the clock."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def due(self) -> bool:
        """Whether it has something to say or do without an event."""
        now = self._terms.now()
        return now >= self._terms.expires_at or now - self._sent_at >= self._terms.heartbeat_s

    def _check(self) -> None:
        if (ending := self._feed.ending(self._ring)) is not None:
            raise ending
        if self._terms.now() >= self._terms.expires_at:
            raise Unauthenticated("the token has expired; resume after the cursor with a new one")

    # --- behind the ring ---------------------------------------------------------------------------------

    async def _first(self) -> bytes:
        """A place that is no longer kept is refused before anything is delivered."""
        self._read = await self._behind.next(self._ring.tail)
        return self._cursor()

    async def _next_behind(self) -> bytes | None:
        read, self._read = self._read or await self._behind.next(self._ring.tail), None
        if read is None:
            # Nothing was waited for since the ring's tail was looked at, so it has not moved on.
            assert self._positions is not None
            self._lane, self._index = self._ring.follow(self._wish, self._positions, self.look)
            return None
        return self._looked_at(*read)

    def _looked_at(self, index: int, delivery: Delivery) -> bytes | None:
        positions = list(self._positions or self._ring.head)
        positions[index] = delivery.position
        self._positions = tuple(positions)
        entry = entry_of(delivery, index, self._feed.catalogue)
        if entry is not None and entry.event.type in self._projections and self._wish.wants(entry.event):
            return self._ring.part(entry, self._projections[entry.event.type]) + self._cursor()
        return self._cursor() if self.due() else None

    # --- in the ring -------------------------------------------------------------------------------------

    async def _next_in(self, lane: Lane) -> bytes | None:
        if self._index < lane.first:
            raise ResourceExhausted("the reader fell too far behind; resume after the cursor")
        if self._index < lane.end:
            entry = lane.entries[self._index - lane.first]
            self._index += 1
            return self._delivery(lane, entry) if self._is_new(entry) else None
        if self.due():
            return self._cursor()
        await self._woken()
        return None

    def _is_new(self, entry: Entry) -> bool:
        """Whether it lies behind the subscriber's own place, if it still has one."""
        if self._positions is None:
            return True
        if entry.position <= self._positions[entry.service]:
            return False
        own = self._positions
        self._positions = None if covers(entry.reached, own) else furthest(own, entry.reached)
        return True

    def _delivery(self, lane: Lane, entry: Entry) -> bytes:
        part = self._ring.part(entry, lane.projections[entry.event.type])
        if self._positions is not None:
            return part + self._cursor()
        if not entry.place:
            entry.place = self._feed.places.text(entry.reached)
            entry.place_part = cursor_part(entry.place)
        self._place, self._sent_at = entry.place, self._terms.now()
        return part + entry.place_part

    def _cursor(self) -> bytes:
        """Where it stands, as part of a delivery or as one."""
        positions = self._positions
        if self._lane is not None and self._index == self._lane.end:
            # All there is has been looked at, so it stands where the ring does, unless it came from further on.
            positions = furthest(positions, self._ring.head) if positions is not None else self._ring.head
        assert positions is not None
        self._place, self._sent_at = self._feed.places.text(positions), self._terms.now()
        return cursor_part(self._place)

    async def _woken(self) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None
