"""Outward: runs a method for each event of this locality that an ACTIVE agreement shares."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

from nameko.extensions import Entrypoint
from nats.js.errors import NotFoundError

from mesh import letters, marks
from mesh.counter import heads
from mesh.events import Event, events_stream
from mesh.handling import Handling
from mesh.sharing import purge_shared, share_stream
from mesh.source import Delivery, Source
from mesh.store import collection_of
from mesh.subscribe import Flow
from services.exchange.agreement import State
from services.exchange.agreements import Agreements
from services.exchange.beginning import LogSince
from services.exchange.documents import AgreementDocument, Receipt
from services.exchange.passage import Passage, passages, subscriptions_before
from services.exchange.share_log import receipted_position, share_log, void
from services.exchange.upkeep import Upkeep

_PUBLISHED_WITHIN_S = 5.0
_RECEIPTS_EVERY_S = 2.0


class Outward(Entrypoint):
    """Runs the decorated method: ``method(event, agreement_id)``.

    Keeps one subscription per passage of the ACTIVE agreements this locality provides, the share logs they lead to,
    and no more: what an agreement left behind goes when it is over.
    """

    agreements = Agreements()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._flows: dict[Passage, Flow] = {}
        self._over: set[str] = set()
        """Agreements nothing is left of, by id."""
        self._forgotten: set[str] = set()
        self._closed: set[str] = set()
        """Recipients whose share stream is gone."""
        self._receipts_at = 0.0

    async def start(self) -> None:
        self._upkeep = Upkeep("outward", self.agreements.watch(), self._keep)
        self._upkeep.start()

    async def stop(self) -> None:
        await self._upkeep.stop()
        await asyncio.gather(*(flow.stop() for flow in self._flows.values()))

    async def _keep(self) -> None:
        here = self.container.locality
        provided = [document for document in self.agreements if document.provider == here and document.shares_events]
        active = [document for document in provided if document.state == State.ACTIVE]
        wanted = {passage for document in active for passage in passages(document)}
        for passage in self._flows.keys() - wanted:
            await self._flows.pop(passage).stop()
        for document in provided:
            await self._forget(document)
        for passage in wanted - self._flows.keys():
            await self._open(passage)
        for document in provided:
            if self._is_over(document) and document.id not in self._over:
                await self._clear(document)
                self._over.add(document.id)
        await self._tend_share_logs(provided)

    # --- subscriptions -----------------------------------------------------------------------------------

    async def _open(self, passage: Passage) -> None:
        """Begins to read what a passage shares; the share log is open before the first event is handled."""
        await self._open_share_log(passage.recipient)
        here = self.container.locality
        handling = Handling(
            subscription=passage.subscription,
            entrypoints=dict.fromkeys(passage.types, self),
            arguments=_for_agreement(passage.agreement),
        )
        source = Source(
            events_stream(here, passage.sector),
            f"events.{here}.{passage.sector}.{passage.topic}.{{partition}}",
            LogSince(self.container.host, passage.sector, passage.since),
            owner=passage.sector,
        )
        self._flows[passage] = flow = Flow(self.container, handling, source)
        flow.start()

    async def _forget(self, document: AgreementDocument) -> None:
        """Drops marks and letters of activations that have ended: what happened since is not delivered later."""
        for subscription in subscriptions_before(document) - self._forgotten:
            await self.container.in_thread(self._forget_one, subscription)
            self._forgotten.add(subscription)

    def _forget_one(self, subscription: str) -> None:
        marks.forget(self.container.database, subscription)
        self.container.database[letters.DEAD_LETTERS].delete_many({"subscription": subscription})

    # --- share logs --------------------------------------------------------------------------------------

    async def _open_share_log(self, recipient: str) -> None:
        self._closed.discard(recipient)
        await self.container.open_log(share_log(self.container.locality, recipient))

    async def _tend_share_logs(self, provided: list[AgreementDocument]) -> None:
        """Keeps the share logs of recipients with an agreement that is not over; the others' streams go."""
        kept = {document.recipient for document in provided if document.id not in self._over}
        for recipient in kept:
            await self._open_share_log(recipient)
        for recipient in {document.recipient for document in provided} - kept:
            await self._close_share_log(recipient)
        now = self.container.host.loop.time()
        if now - self._receipts_at > _RECEIPTS_EVERY_S:
            self._receipts_at = now
            for recipient in kept:
                await self._take_receipts(recipient)

    async def _close_share_log(self, recipient: str) -> None:
        """The stream goes with the last agreement; the log stays, emptied, so that no number is given twice."""
        if recipient in self._closed:
            return
        relay = self.container.relays.pop(share_log(self.container.locality, recipient).name, None)
        if relay is not None:
            await relay.stop()
        with contextlib.suppress(NotFoundError):
            await self.container.jetstream.delete_stream(share_stream(self.container.locality, recipient))
        self._closed.add(recipient)

    async def _take_receipts(self, recipient: str) -> None:
        """Tells the relay which entries the recipient has committed, so that they may expire."""
        relay = self.container.relays[share_log(self.container.locality, recipient).name]
        relay.receipted = await self.container.in_thread(self._receipted, recipient)

    def _receipted(self, recipient: str) -> int:
        database = self.container.database
        receipts = {
            line: sequence
            for receipt in database[collection_of(Receipt)].find()
            for line, sequence in receipt["sequences"].items()
        }
        return receipted_position(database, share_log(self.container.locality, recipient), receipts)

    # --- the end of an agreement -------------------------------------------------------------------------

    def _is_over(self, document: AgreementDocument) -> bool:
        """Whether nothing of it may be had any more: at once when revoked, once streams forget when expired."""
        host = self.container.host
        kept = timedelta(days=host.settings.runtime.stream_max_age_days)
        return document.state == State.REVOKED or (
            document.state == State.EXPIRED and document.changed_at + kept < host.time.now()
        )

    async def _clear(self, document: AgreementDocument) -> None:
        """Empties what an agreement left in the share log, and purges its subject."""
        container, here = self.container, self.container.locality
        log = share_log(here, document.recipient)
        await container.in_thread(void, container.database, log, document.id)
        if (relay := container.relays.get(log.name)) is not None:
            # What a relay has in memory is published first, or it would come after the purge.
            position, _ = await container.in_thread(heads, container.database, log)
            async with asyncio.timeout(_PUBLISHED_WITHIN_S):
                await relay.caught_up(position)
        await purge_shared(container.jetstream, here, document.recipient, document.id)


def _for_agreement(agreement: str) -> Any:
    def arguments(event: Event, delivery: Delivery) -> tuple[Any, ...]:
        return event, agreement

    return arguments


outward = Outward.decorator
