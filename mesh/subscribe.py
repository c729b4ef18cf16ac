"""`@subscribe`: a service's interest in one event type, from its own locality, from peers, or both."""

from __future__ import annotations

import asyncio
import logging
from enum import Enum
from typing import Any

from google.protobuf.message import Message
from nameko.extensions import Entrypoint
from nats.errors import Error as NatsError
from pymongo.errors import PyMongoError

from mesh import marks
from mesh.ending import end
from mesh.errors import ContractError, MeshError
from mesh.events import PARTITIONS, Event, EventType, catalogue, events_stream
from mesh.handling import Handling
from mesh.identity import EXCHANGE
from mesh.log_scopes import LOCAL_EVENTS, PEERS_EVENTS, log_scope
from mesh.marks import Start
from mesh.reader import Reader
from mesh.source import Delivery, Source

_logger = logging.getLogger(__name__)

_WATCH_EVERY_S = 15.0


class Origin(Enum):
    """Whose events a subscription wants."""

    LOCAL = "local"
    PEERS = "peers"
    ANY = "any"


class Beginning(Enum):
    """Where a subscription begins that was never declared before."""

    NEW = "new"
    ALL = "all"


LOCAL, PEERS, ANY = Origin.LOCAL, Origin.PEERS, Origin.ANY
NEW, ALL = Beginning.NEW, Beginning.ALL


class Subscription(Entrypoint):
    """Runs the decorated method for each event: ``method(message, event)``.

    Its effects are committed together with the mark, so it takes effect once however often an event arrives.
    Methods of one service on one topic and kind of origin are one subscription with one mark: they see the events
    of a key in order, whichever of them handles which.
    """

    def __init__(
        self, event_class: type[Message], origin: Origin = LOCAL, start: Beginning = NEW, **options: Any
    ) -> None:
        super().__init__(**options)
        self.event_class = event_class
        self.origin = origin
        self.beginning = start
        self.flows: list[Flow] = []

    @property
    def event_type(self) -> EventType:
        return catalogue().of(self.event_class)

    async def start(self) -> None:
        together = self._together()
        if together[0] is not self:
            return
        handling = Handling(
            subscription=f"{self.container.service_name}.{self.event_type.topic}.{self.origin.value}",
            entrypoints=_by_type(together),
            arguments=_message_and_event,
            start_all=self.beginning is ALL,
        )
        self.flows = [Flow(self.container, handling, source) for source in self._sources()]
        for flow in self.flows:
            flow.start()

    async def stop(self) -> None:
        await asyncio.gather(*(flow.stop() for flow in self.flows))

    def _together(self) -> list[Subscription]:
        """The methods that share this subscription, by name."""
        theirs = (other for other in self.container.entrypoints if isinstance(other, Subscription))
        wanted = (self.event_type.sector, self.event_type.topic, self.origin)
        return sorted(
            (other for other in theirs if (other.event_type.sector, other.event_type.topic, other.origin) == wanted),
            key=lambda other: str(other.method_name),
        )

    def _sources(self) -> list[Source]:
        host, locality = self.container.host, self.container.locality
        kind = self.event_type
        sources = []
        if self.origin in (LOCAL, ANY):
            stream = events_stream(locality, kind.sector)
            subject = f"events.{locality}.{kind.sector}.{kind.topic}.{{partition}}"
            scope = log_scope(LOCAL_EVENTS, kind.sector, kind.topic)
            sources.append(Source(stream, subject, host.neighbours.log_of(kind.sector, scope), owner=kind.sector))
        if self.origin in (PEERS, ANY):
            stream = events_stream(locality, EXCHANGE)
            subject = f"events.*.{kind.sector}.{kind.topic}.{{partition}}"
            scope = log_scope(PEERS_EVENTS, kind.sector, kind.topic)
            sources.append(Source(stream, subject, host.neighbours.log_of(EXCHANGE, scope), owner=EXCHANGE))
        return sources


class Flow:
    """One subscription on one source: declared once, then read partition by partition."""

    def __init__(self, container: Any, handling: Handling, source: Source) -> None:
        self._container = container
        self.handling = handling
        self.source = source
        self.readers: list[Reader] = []
        self.started_at: Start | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        name = f"flow-{self.handling.subscription}-{self.source.stream}"
        self._task = asyncio.create_task(self._run(), name=name)
        self._container.flows.append(self)

    async def stop(self) -> None:
        await end([self._task])
        await asyncio.gather(*(reader.stop() for reader in self.readers))
        if self in self._container.flows:
            self._container.flows.remove(self)

    async def lag(self) -> int:
        """Events of its lines that no mark covers yet, as far as the log behind them tells."""
        return sum((await self.lags()).values())

    async def lags(self) -> dict[str, int]:
        """The same by line. Where the heads of the log are not known here, only parked lines show."""
        reached = {line.line: line for reader in self.readers for line in reader.lines}
        try:
            heads = await self.source.log.heads()
        except MeshError:
            heads = None
        if heads is None:
            heads = {line.line: line.seen for line in reached.values() if line.parked}
        start = self.started_at.sequences if self.started_at else {}
        return {
            line: max(0, head - (reached[line].sequence if line in reached else start.get(line, 0)))
            for line, head in heads.items()
            if self.source.covers(line)
        }

    async def _run(self) -> None:
        self.started_at = start = await self._declare()
        self.readers = [
            Reader(self._container, self.handling, self.source, partition, start) for partition in range(PARTITIONS)
        ]
        for reader in self.readers:
            reader.start()
        await self._watch()

    async def _watch(self) -> None:
        """Looks from time to time for events that the log has and the stream does not bring.

        A hole shows when a later event of the line arrives; one at the end of a line shows only here.
        """
        before: dict[str, int] = {}
        while True:
            await asyncio.sleep(_WATCH_EVERY_S)
            try:
                heads = {
                    line: head
                    for line, head in (await self.source.log.heads() or {}).items()
                    if self.source.covers(line)
                }
            except (MeshError, PyMongoError):
                continue
            reached = {line.line: line.sequence for reader in self.readers for line in reader.lines}
            for line, head in before.items():
                if reached.get(line, 0) < head:
                    self.readers[int(line.rpartition("/")[2])].expect(line, head)
            before = heads

    async def _declare(self) -> Start:
        """Records where the subscription begins, asking the log behind the stream until it answers."""
        subscription, stream = self.handling.subscription, self.source.stream
        wait = 0.1
        while True:
            try:
                known: Start | None = await self._container.in_thread(
                    marks.load_start, self._container.database, subscription, stream
                )
                if known is not None:
                    return known
                begin = await self.source.log.begin(self.handling.start_all)
                recorded: Start = await self._container.in_thread(
                    marks.record_start,
                    self._container.database,
                    subscription,
                    stream,
                    begin,
                    self.handling.types,
                )
                return recorded
            except (MeshError, NatsError, PyMongoError) as error:
                _logger.debug("%s waits for %s: %s", subscription, stream, type(error).__name__)
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, 2.0)


def _by_type(together: list[Subscription]) -> dict[str, Entrypoint]:
    """Which method handles which type. Raises `ContractError` when that or the beginning is not clear."""
    entrypoints: dict[str, Entrypoint] = {}
    for subscription in together:
        name = subscription.event_type.name
        if name in entrypoints:
            both = f"{entrypoints[name].method_name} and {subscription.method_name}"
            raise ContractError(f"{both} both handle {name}: let one call the other")
        if subscription.beginning is not together[0].beginning:
            both = f"{together[0].method_name} and {subscription.method_name}"
            raise ContractError(f"{both} share a subscription: let them begin alike, NEW or ALL")
        entrypoints[name] = subscription
    return entrypoints


def _message_and_event(event: Event, delivery: Delivery) -> tuple[Any, ...]:
    return event.message(), event


subscribe = Subscription.decorator
