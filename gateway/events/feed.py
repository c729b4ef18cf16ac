"""The feed: what the gateway's process keeps for all its subscribers."""

from __future__ import annotations

import asyncio
import copy
import logging
from datetime import UTC, timedelta
from typing import Any

from gateway.events.beginning import after_places, at_time
from gateway.events.entry import Positions
from gateway.events.follower import Follower
from gateway.events.history import History
from gateway.events.log_behind import LogBehind
from gateway.events.place import Places
from gateway.events.ring import Ring
from gateway.events.settings import GatewaySettings
from gateway.events.subscription import Subscription, Terms
from gateway.events.wish import wish_of
from mesh.auth import Caller
from mesh.backoff import pause_s
from mesh.ending import end
from mesh.errors import MeshError, ResourceExhausted, Unavailable
from mesh.events import Catalogue, catalogue, events_stream
from mesh.identity import EXCHANGE
from mesh.loop_streams import HoldsStreams

_logger = logging.getLogger(__name__)

_READ_AT_ONCE = 8
"""Pages read at the same time for subscribers that catch up."""
_SWEEP_S = 1.0


class Feed(HoldsStreams):
    """Reads every stream of the locality once, and hands out subscriptions."""

    ring: Ring
    places: Places

    def __init__(self, settings: GatewaySettings | None = None) -> None:
        self.catalogue: Catalogue
        self.histories: list[History] = []
        self.reading = asyncio.Semaphore(_READ_AT_ONCE)
        """Held while a page is read, so that many who catch up at once do not stand in the way of those who follow."""
        self._settings = settings or GatewaySettings()
        self._ready = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.subscriptions: set[Subscription] = set()
        """Those under way."""
        self._ending: MeshError | None = None

    # --- lifecycle ---------------------------------------------------------------------------------------

    def setup(self) -> None:
        self.catalogue = catalogue()
        self._settings = getattr(self.container.settings, self.container.service_name, None) or self._settings
        self.histories = [self._history(service) for service in self._services()]
        self.places = Places(self.container.locality, [history.service for history in self.histories])

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._read(), name="gateway-feed"),
            asyncio.create_task(self._sweep(), name="gateway-sweep"),
        ]

    def drain(self) -> None:
        self._ending = Unavailable("the gateway is stopping; resume after the cursor")
        for subscription in self.subscriptions:
            subscription.look()

    async def stop(self) -> None:
        await end(self._tasks)

    def get_dependency(self, worker_ctx: Any) -> Feed:
        return self

    # --- subscribers -------------------------------------------------------------------------------------

    async def open(self, request: Any, caller: Caller) -> Subscription:
        """The subscription a `SubscribeRequest` asks for, if the caller may have it."""
        wish = wish_of(request, caller, self.places.locality, self.catalogue)
        await self._until_ready()
        positions = await self._beginning(request)
        if len(self.subscriptions) >= self._settings.subscriptions:
            raise ResourceExhausted("too many subscriptions are under way", retry_after_s=5)
        return Subscription(self, wish, positions, Terms(caller.expires_at, self._settings.heartbeat_s))

    def ending(self, ring: Ring) -> MeshError | None:
        """Why subscriptions that follow a ring end now, if they do; an error of the asker's own."""
        ending = self._ending or ring.broken
        return None if ending is None else copy.deepcopy(ending)

    async def _beginning(self, request: Any) -> Positions:
        start = request.WhichOneof("start")
        if start == "after_cursor":
            return await after_places(self.histories, self.places.positions(request.after_cursor), self.ring.head)
        if start == "start_time":
            kept = timedelta(days=self.container.settings.runtime.log_keep_days)
            time = request.start_time.ToDatetime(UTC)
            return await at_time(self.histories, time, self.container.host.time.now() - kept)
        return self.ring.head

    async def _until_ready(self) -> None:
        try:
            async with asyncio.timeout(self._settings.ready_timeout_s):
                await self._ready.wait()
        except TimeoutError:
            raise Unavailable("the ends of the locality's streams are not known yet", retry_after_s=1) from None

    async def _sweep(self) -> None:
        """Wakes those who are to be sent their cursor, or whose token has ended: one timer for all."""
        while True:
            await asyncio.sleep(min(_SWEEP_S, self._settings.heartbeat_s / 4))
            for subscription in list(self.subscriptions):
                if subscription.due():
                    subscription.look()

    # --- reading -----------------------------------------------------------------------------------------

    def _services(self) -> list[str]:
        """Services of this node with a log: their sectors' events, and those of other localities."""
        sectors = {event_type.sector for event_type in self.catalogue} | {EXCHANGE}
        host = self.container.host
        return sorted(sector for sector in sectors if host.neighbours.here(sector) or sector in host.settings.services)

    def _history(self, service: str) -> History:
        container = self.container
        stream, log = events_stream(container.locality, service), LogBehind(container.host.neighbours, service)
        return History(service, stream, container.account_of(service), log)

    async def _read(self) -> None:
        """Follows all streams; with a new ring where a log has lost what the ring would need."""
        if not self.histories:  # the gateway is alone: there are no events to wait for
            self.ring = self._new_ring([])
            self._ready.set()
            return
        latest = self._settings.ring_events // len(self.histories)
        while True:
            spans = [await _known(history) for history in self.histories]
            self.ring = self._new_ring([max(first, last - latest) for first, last in spans])
            await self._follow([last for _, last in spans])
            self._ready.clear()
            latest = 0

    def _new_ring(self, start: list[int]) -> Ring:
        return Ring(start, most_events=self._settings.ring_events, most_bytes=self._settings.ring_bytes)

    async def _follow(self, ends: list[int]) -> None:
        """Ready once the ring has come to where the streams ended when it began: what is older is not now."""
        ring, tasks = self.ring, []
        for index, history in enumerate(self.histories):
            follower = Follower(history, ring, index, self.catalogue)
            tasks.append(asyncio.create_task(follower.run(), name=f"gateway-{history.service}"))
        try:
            await ring.reaches(tuple(ends))
            self._ready.set()
            await asyncio.gather(*tasks)
        finally:
            await end(tasks)


async def _known(history: History) -> tuple[int, int]:
    """What a stream holds, asked until it is known."""
    tries = 0
    while True:
        try:
            return await history.span()
        except MeshError as error:
            tries = min(tries + 1, 5)
            _logger.info("the gateway waits for %s: %s", history.stream, error)
        await asyncio.sleep(pause_s(tries))
