"""The ring: the latest events of all logs in one order, kept once for all subscribers.

Each entry knows how far every log had come with it: that is the cursor all who follow the ring share.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Sequence

from gateway.events.entry import Entry, Positions
from gateway.events.projection import Projection
from gateway.events.wish import Wish
from mesh.errors import MeshError


class Lane:
    """What of the ring one wish is about. Subscribers with equal wishes share it."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.projections = dict(wish.projections)
        self.entries: deque[Entry] = deque()
        self.first = 0
        """Index of the first entry; those before it have left the ring."""
        self.wakers: set[Callable[[], None]] = set()
        """How to wake who follows it."""

    @property
    def end(self) -> int:
        """Index behind the last entry."""
        return self.first + len(self.entries)

    def append(self, entry: Entry) -> None:
        if self.wish.wants(entry.event):
            self.entries.append(entry)
            for wake in self.wakers:
                wake()

    def drop_before(self, number: int) -> None:
        while self.entries and self.entries[0].number < number:
            self.entries.popleft()
            self.first += 1


class Ring:
    """The latest events, bounded by count and bytes."""

    def __init__(self, start: Sequence[int], *, most_events: int, most_bytes: int) -> None:
        self.tail: Positions = tuple(start)
        """All up to here has left the ring."""
        self.head: Positions = tuple(start)
        """All up to here has been read."""
        self.entries: deque[Entry] = deque()
        self.bytes = 0
        self.broken: MeshError | None = None
        """Why nobody can follow the ring any longer."""
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._next = 0
        self._lanes: dict[Wish, Lane] = {}
        self._by_type: defaultdict[str, list[Lane]] = defaultdict(list)
        self._moved = asyncio.Event()

    def append(self, entry: Entry) -> None:
        """Adds the next event of a log."""
        self.advance(entry.service, entry.position)
        entry.number, entry.reached = self._next, self.head
        self._next += 1
        self.entries.append(entry)
        self.bytes += entry.weight
        for lane in self._by_type.get(entry.event.type, ()):
            lane.append(entry)
        self._trim()

    def advance(self, service: int, position: int) -> None:
        """Moves the head over a number without an event. Raises `ValueError` for one that is not the next."""
        if position != self.head[service] + 1:
            raise ValueError(f"{position} does not follow {self.head[service]}")
        self.head = (*self.head[:service], position, *self.head[service + 1 :])
        self._moved.set()

    def part(self, entry: Entry, projection: Projection) -> bytes:
        """An entry as part of a delivery; what is made of it counts among the ring's bytes."""
        part = entry.parts.get(projection)
        if part is None:
            part = entry.part(projection)
            entry.weight += len(part)
            if self.entries and entry.number >= self.entries[0].number:
                self.bytes += len(part)
        return part

    async def reaches(self, positions: Positions) -> None:
        """Returns when the head has come that far, or the ring is broken."""
        while self.broken is None and not covers(self.head, positions):
            self._moved.clear()
            await self._moved.wait()

    def follow(self, wish: Wish, positions: Positions, wake: Callable[[], None]) -> tuple[Lane, int]:
        """The lane of a wish, and the index from which on it may hold entries that lie behind these positions.

        Raises `ValueError` for a place before the ring: something behind it may already have left.
        """
        if not covers(positions, self.tail):
            raise ValueError(f"{positions} lies before the ring, which begins at {self.tail}")
        lane = self._lanes.get(wish) or self._open(wish)
        lane.wakers.add(wake)
        # `reached` only grows, so what the positions cover is a first part of the ring.
        covered = bisect_left(self.entries, True, key=lambda entry: not covers(positions, entry.reached))
        number = self.entries[covered].number if covered < len(self.entries) else self._next
        return lane, lane.first + bisect_left(lane.entries, number, key=lambda entry: entry.number)

    def leave(self, lane: Lane, wake: Callable[[], None]) -> None:
        """Ends following; a lane nobody follows goes."""
        lane.wakers.discard(wake)
        if not lane.wakers and self._lanes.pop(lane.wish, None) is not None:
            for name in lane.wish.types:
                self._by_type[name].remove(lane)

    def break_off(self, error: MeshError) -> None:
        """Lets nobody follow the ring any longer; whoever does ends with this error."""
        self.broken = error
        self._moved.set()
        for lane in self._lanes.values():
            for wake in lane.wakers:
                wake()

    def _open(self, wish: Wish) -> Lane:
        lane = self._lanes[wish] = Lane(wish)
        for name in wish.types:
            self._by_type[name].append(lane)
        for entry in self.entries:
            if entry.event.type in lane.projections:
                lane.append(entry)
        return lane

    def _trim(self) -> None:
        while len(self.entries) > self._most_events or (self.bytes > self._most_bytes and len(self.entries) > 1):
            gone = self.entries.popleft()
            self.bytes -= gone.weight
            self.tail = gone.reached
            for lane in self._by_type.get(gone.event.type, ()):
                lane.drop_before(gone.number + 1)


def covers(these: Positions, those: Positions) -> bool:
    """Whether these positions have come at least as far as those, on every log."""
    return all(map(int.__ge__, these, those))


def furthest(these: Positions, those: Positions) -> Positions:
    """The further of both, log by log."""
    return tuple(map(max, these, those))
