"""A follower: reads one stream once for all subscribers, into the ring, without a hole."""

from __future__ import annotations

import asyncio
import logging

from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from gateway.events.entry import entry_of
from gateway.events.history import EVERY_EVENT, History
from gateway.events.ring import Ring
from mesh.backoff import pause_s
from mesh.cursor import Cursor, CursorLost
from mesh.errors import MeshError, OutOfRange
from mesh.events import Catalogue
from mesh.source import Delivery, delivery_of

_logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5


class Follower:
    """Follows one service's stream from the ring's head on."""

    def __init__(self, history: History, ring: Ring, service: int, catalogue: Catalogue) -> None:
        self._history = history
        self._ring = ring
        self._service = service
        self._catalogue = catalogue

    async def run(self) -> None:
        """Follows until the ring is broken. What breaks the flow makes it begin anew behind the ring's head."""
        tries = 0
        while self._ring.broken is None:
            at = self._at
            try:
                await self._follow()
            except OutOfRange as gone:
                _logger.error("%s", gone.message)
                self._ring.break_off(gone)
            except CursorLost as lost:
                _logger.info("%s is followed anew: %s", self._history.stream, lost)
            except NotFoundError:
                _logger.debug("%s is not declared", self._history.stream)
            except (NatsError, MeshError, OSError, TimeoutError) as error:
                _logger.warning("%s waits: %s", self._history.stream, type(error).__name__)
            except Exception:
                _logger.exception("%s cannot be followed", self._history.stream)
            tries = 1 if self._at > at else min(tries + 1, 5)
            await asyncio.sleep(pause_s(tries))

    @property
    def _at(self) -> int:
        return self._ring.head[self._service]

    async def _follow(self) -> None:
        history, start = self._history, self._at + 1
        connection = history.account.nats.stats["reconnects"]
        async with Cursor(history.account, stream=history.stream, subject=EVERY_EVENT, start=start) as cursor:
            while self._ring.broken is None:
                for msg in await cursor.next(_LOOK_EVERY_S):
                    await self._take(delivery_of(msg))
                if history.account.nats.stats["reconnects"] != connection:
                    raise CursorLost("reconnected")  # pull requests die with the connection

    async def _take(self, delivery: Delivery) -> None:
        while delivery.position > self._at + 1:
            for missing in await self._history.page_of_log(self._at):
                self._append(missing)
        self._append(delivery)

    def _append(self, delivery: Delivery) -> None:
        """Leaves out what the ring has: a stream that lost its tail brings it again, under the same numbers."""
        if delivery.position != self._at + 1:
            return
        entry = entry_of(delivery, self._service, self._catalogue)
        if entry is None:
            self._ring.advance(self._service, delivery.position)
        else:
            self._ring.append(entry)
