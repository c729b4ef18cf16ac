"""Receipts: tells providers how far their events are committed here, and learns what never arrived."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pymongo.database import Database

from mesh.ending import end
from mesh.errors import MeshError
from mesh.marks import MARKS
from mesh.subscribe import Flow
from mesh.unit import Raw
from services.exchange.agreements import Agreements
from services.exchange.provider import Provider
from services.exchange.share_log import agreement_of
from services.exchange.upkeep import UNAVAILABLE

_logger = logging.getLogger(__name__)


class Receipts:
    """Reports to one provider, again and again.

    A hole shows when a later event of its line arrives; at the end of a line none may come for days. The provider
    answers a receipt with its heads: a line that has not come as far by the next report is read from the share log.
    """

    def __init__(self, container: Any, provider: Provider, flow: Flow, agreements: Agreements, now: asyncio.Event):
        self._container = container
        self._provider = provider
        self._flow = flow
        self._agreements = agreements
        self._now = now
        self._heads: dict[str, int] = {}
        """Of the report before."""
        self._task: asyncio.Task[None] | None = None

    def start(self, every_s: float) -> None:
        """Reports at once, every so often, and when asked to."""
        self._task = asyncio.create_task(self._run(every_s), name=f"receipts-{self._provider.locality}")

    async def stop(self) -> None:
        """Ends reporting."""
        await end([self._task])

    async def _run(self, every_s: float) -> None:
        while True:
            self._now.clear()
            try:
                if self._container.members.holds(f"receipts/{self._provider.locality}"):
                    await self._report()
            except UNAVAILABLE as error:
                _logger.debug("receipts for %s wait: %s", self._provider.locality, type(error).__name__)
            except Exception:
                _logger.exception("receipts for %s failed", self._provider.locality)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._now.wait(), every_s)
            await asyncio.sleep(0.1)  # those who ask at the same time are answered by one report

    async def _report(self) -> None:
        subscription, stream = self._flow.handling.subscription, self._flow.source.stream
        reached = await self._container.in_thread(_reached, self._container.database, subscription, stream)
        self._expect(line for line, head in self._heads.items() if reached.get(line, 0) < head)
        by_agreement: dict[str, dict[str, int]] = defaultdict(dict)
        for line, sequence in reached.items():
            by_agreement[agreement_of(line)][line] = sequence
        heads: dict[str, int] = {}
        for document in self._agreements:
            if document.provider == self._provider.locality and document.shares_events:
                with contextlib.suppress(MeshError):
                    heads.update(await self._provider.report(document.id, by_agreement[document.id]))
        self._heads = heads

    def _expect(self, lines: Iterable[str]) -> None:
        readers = dict(enumerate(self._flow.readers))
        for line in lines:
            if reader := readers.get(int(line.rpartition("/")[2])):
                reader.expect(line, self._heads[line])


def _reached(database: Database[Raw], subscription: str, stream: str) -> Mapping[str, int]:
    """Blocking: the sequence whose effect is committed, by line."""
    found = database[MARKS].find({"subscription": subscription, "stream": stream}, {"lines": 1})
    return {line: at["sequence"] for mark in found for line, at in mark["lines"].items()}
