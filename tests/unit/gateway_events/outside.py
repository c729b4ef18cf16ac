"""A locality in memory, as the event gateway sees it: logs, a ring, subscribers that break off and resume."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from gateway.events.entry import entry_of
from gateway.events.place import Places
from gateway.events.ring import Ring
from gateway.events.subscription import Subscription, Terms
from gateway.events.wish import wish_of
from lienthong.gateway.v1 import SubscribeRequest, SubscribeResponse
from mesh.auth import Caller
from mesh.errors import OutOfRange
from mesh.events import catalogue, new_event, to_headers
from mesh.source import Delivery
from tests.trial.contract import AmountForgotten, AmountRecorded

HERE = "da-nang"
READER = Caller("reader", HERE, frozenset({"events.read", "trial.read"}))
_BORN = datetime(2026, 11, 2, tzinfo=UTC)


@dataclass
class MemoryHistory:
    """One log."""

    service: str
    entries: list[Delivery]
    floor: int = 0

    async def page(self, after: int, limit: int = 3) -> list[Delivery]:
        if after < self.floor:
            raise OutOfRange(f"the log of {self.service} begins at {self.floor + 1}")
        return self.entries[after : after + limit]

    async def end(self) -> int:
        return len(self.entries)


class Outside:
    """Logs of some services, and the gateway's ring over them."""

    def __init__(self, services: int, *, ring_events: int = 5) -> None:
        catalogue().add(AmountRecorded)
        catalogue().add(AmountForgotten)
        self.histories = [MemoryHistory(f"s{n}", []) for n in range(services)]
        self.catalogue = catalogue()
        self.places = Places(HERE, [history.service for history in self.histories])
        self.reading = asyncio.Semaphore(1)
        self.subscriptions: set[Subscription] = set()
        self._ring_events = ring_events
        self.ring = self._new_ring([0] * services)

    def ending(self, ring: Ring) -> Any:
        return ring.broken

    def commit(self, service: int, key: str, amount: int | None, *, origin: str = HERE) -> None:
        """Logs an event; one without an amount forgets, one without a key is a number without an event."""
        history = self.histories[service]
        position = len(history.entries) + 1
        headers, data = {}, b""
        if key:
            message = AmountForgotten(key=key) if amount is None else AmountRecorded(key=key, amount=amount)
            event = new_event(message, source=f"/{origin}/trial", time=_BORN + timedelta(seconds=position))
            headers, data = to_headers(replace(event, sequence=position)), event.data
        history.entries.append(Delivery("", position, position, headers, data))

    def follow(self, service: int) -> None:
        """The follower of a service reads its next entry, if there is one."""
        at = self.ring.head[service]
        for delivery in self.histories[service].entries[at : at + 1]:
            entry = entry_of(delivery, service, self.catalogue)
            if entry is None:
                self.ring.advance(service, delivery.position)
            else:
                self.ring.append(entry)

    def restart(self, behind: list[int]) -> None:
        """Another process takes over, its ring beginning so many entries before the logs' ends."""
        ends = [len(history.entries) for history in self.histories]
        self.ring = self._new_ring([max(0, end - back) for end, back in zip(ends, behind, strict=True)])

    def subscribe(self, positions: tuple[int, ...], **wanted: Any) -> Subscription:
        wish = wish_of(SubscribeRequest(**wanted), READER, HERE, self.catalogue)
        # Always due: what has nothing to deliver gives its cursor and never waits.
        terms = Terms(expires_at=float("inf"), heartbeat_s=0)
        feed: Any = SimpleNamespace(**{name: getattr(self, name) for name in _FEED})
        return Subscription(feed, wish, positions, terms)

    def after(self, cursor: str) -> tuple[int, ...]:
        return tuple(position or 0 for position in self.places.positions(cursor))

    def _new_ring(self, start: list[int]) -> Ring:
        return Ring(start, most_events=self._ring_events, most_bytes=1 << 30)


_FEED = ("ring", "histories", "places", "catalogue", "reading", "subscriptions", "ending")


class Reader:
    """A client that resumes after the last cursor it was sent."""

    def __init__(self, outside: Outside, **wanted: Any) -> None:
        self._outside = outside
        self._wanted = wanted
        self._subscription: Subscription | None = None
        self.cursor = outside.places.text(outside.ring.head)
        self.seen: list[tuple[str, str]] = []
        """Sequence and key of what it was sent."""

    def break_off(self) -> None:
        self._subscription = None

    async def read(self) -> bool:
        """Takes one delivery. Returns whether there was an event in it."""
        if self._subscription is None:
            self._subscription = self._outside.subscribe(self._outside.after(self.cursor), **self._wanted)
        delivery = SubscribeResponse.FromString(await self._subscription.next())
        self.cursor = delivery.cursor
        if delivery.HasField("event"):
            self.seen.append((delivery.event.id, delivery.event.subject))
        return delivery.HasField("event")
