"""Inward: runs a method for each event that has arrived from another locality."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nameko.extensions import Entrypoint
from nats.js.errors import NotFoundError
from pymongo import DESCENDING

from mesh.events import Event
from mesh.handling import ANY_TYPE, Handling
from mesh.log import LOGGED_AT
from mesh.marks import MARKS
from mesh.sharing import (
    SOURCE_HEADER,
    declare_received,
    provider_of,
    purge_received,
    received_stream,
    revive_sources,
)
from mesh.source import Delivery, Source
from mesh.subscribe import Flow
from services.exchange.admission import Crossing
from services.exchange.agreement import State
from services.exchange.agreements import Agreements
from services.exchange.provider import Provider
from services.exchange.receipts import Receipts
from services.exchange.settings import ExchangeSettings
from services.exchange.upkeep import Upkeep

_logger = logging.getLogger(__name__)

_SOURCED = (State.ACTIVE, State.SUSPENDED)
_READ = (State.ACTIVE, State.SUSPENDED, State.EXPIRED)
"""What was under way when an agreement expired is still admitted."""


@dataclass(slots=True)
class _Arrivals:
    """What reads one provider's events."""

    provider: Provider
    flow: Flow
    receipts: Receipts

    def start(self, every_s: float) -> None:
        self.flow.start()
        self.receipts.start(every_s)

    async def stop(self) -> None:
        await asyncio.gather(self.flow.stop(), self.receipts.stop())
        await self.provider.close()


class Inward(Entrypoint):
    """Runs the decorated method: ``method(event, crossing, shared_at)``.

    Keeps the stream that sources this locality's providers, one subscription per provider, and the receipts.
    """

    agreements = Agreements()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._arrivals: dict[str, _Arrivals] = {}
        self._sourced: set[str] | None = None
        """Providers the stream was last declared with."""
        self._purged: set[str] = set()

    async def start(self) -> None:
        self._upkeep = Upkeep("inward", self.agreements.watch(), self._keep)
        self._upkeep.start()

    async def stop(self) -> None:
        await self._upkeep.stop()
        await asyncio.gather(*(arrivals.stop() for arrivals in self._arrivals.values()))

    async def _keep(self) -> None:
        here = self.container.locality
        received = [document for document in self.agreements if document.recipient == here and document.shares_events]
        read = {document.provider for document in received if document.state in _READ}
        for provider in self._arrivals.keys() - read:
            await self._arrivals.pop(provider).stop()
        if received:
            await self._declare({document.provider for document in received if document.state in _SOURCED})
        for provider in read - self._arrivals.keys():
            self._read(provider)
        for document in received:
            if document.state == State.REVOKED and document.id not in self._purged:
                await self._purge(document.provider, document.id)
                self._purged.add(document.id)

    # --- the stream --------------------------------------------------------------------------------------

    async def _declare(self, providers: set[str]) -> None:
        """Declares the stream with its sources when they have changed; asks anew for those that are silent."""
        jetstream, here = self.container.jetstream, self.container.locality
        if self._sourced == providers:
            with contextlib.suppress(NotFoundError):
                await revive_sources(jetstream, here)
                return
        # A stream that was lost brings everything again: behind the marks, so that readers meet it.
        first = await self.container.in_thread(self._highest_mark) + 1
        limits = self.container.settings.runtime
        await declare_received(jetstream, here, providers, first, limits=limits)
        self._sourced = providers

    def _highest_mark(self) -> int:
        query = {"stream": received_stream(self.container.locality)}
        mark = self.container.database[MARKS].find_one(query, sort=[("position", DESCENDING)])
        return int(mark["position"]) if mark else 0

    async def _purge(self, provider: str, agreement: str) -> None:
        await purge_received(self.container.jetstream, provider, self.container.locality, agreement)

    # --- subscriptions -----------------------------------------------------------------------------------

    def _read(self, locality: str) -> None:
        """Begins to read what a provider shares."""
        host, here = self.container.host, self.container.locality
        report_now = asyncio.Event()
        provider = Provider(host, locality, self.agreements, report_now)
        handling = Handling(
            subscription=f"exchange.from.{locality}",
            entrypoints={ANY_TYPE: self},
            arguments=_arrived_from(locality, here),
        )
        subject = f"shared.{locality}.{here}.*.*.*.{{partition}}"
        source = Source(received_stream(here), subject, provider, accepts=_sent_by(locality, here))
        flow = Flow(self.container, handling, source)
        receipts = Receipts(self.container, provider, flow, self.agreements, report_now)
        self._arrivals[locality] = arrivals = _Arrivals(provider, flow, receipts)
        settings = getattr(self.container.settings, self.container.service_name, None) or ExchangeSettings()
        arrivals.start(settings.receipts_every_s)


def _sent_by(locality: str, here: str) -> Callable[[Delivery], bool]:
    """Tells whether an event on a provider's subject came from the provider.

    Another one could send it, to use up the numbers of its lines: it must move no mark. The header is written by the
    own server; what was read at the provider, to fill a hole, has none.
    """

    def accepts(delivery: Delivery) -> bool:
        genuine = SOURCE_HEADER not in delivery.headers or (provider_of(delivery.headers, here, [locality]) is not None)
        if not genuine:
            _logger.warning("an event on a subject of %s did not come from there; it is passed over", locality)
        return genuine

    return accepts


def _arrived_from(locality: str, here: str) -> Callable[[Event, Delivery], tuple[Any, ...]]:
    def arguments(event: Event, delivery: Delivery) -> tuple[Any, ...]:
        crossing = Crossing(locality, here, *delivery.line.split("/"))
        return event, crossing, _shared_at(event, delivery)

    return arguments


def _shared_at(event: Event, delivery: Delivery) -> datetime:
    """When the provider committed the event to its share log; where that is not said, when it was born."""
    try:
        time = datetime.fromisoformat(delivery.headers.get(LOGGED_AT, ""))
    except ValueError:
        return event.time
    return time.astimezone(UTC) if time.tzinfo else event.time


inward = Inward.decorator
