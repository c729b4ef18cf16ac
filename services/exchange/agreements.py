"""The agreements kept here, as last committed, for what runs at the border between handler runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from nameko.extensions import SharedExtension
from pymongo.errors import PyMongoError

from mesh.ending import end
from mesh.store import collection_of, from_raw
from mesh.unit import REVISION, Raw
from services.exchange.documents import AgreementDocument

_logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.2


class Agreements(SharedExtension):
    """Follows the agreement documents: another process of the exchange may have changed them.

    Handlers decide over what they read in their own unit, never over this.
    """

    def __init__(self) -> None:
        self._documents: dict[str, AgreementDocument] = {}
        self._revisions: dict[str, int] = {}
        self._watchers: list[asyncio.Event] = []
        self._task: asyncio.Task[None] | None = None

    def __iter__(self) -> Iterator[AgreementDocument]:
        return iter(list(self._documents.values()))

    def get(self, id: str) -> AgreementDocument | None:
        """The agreement of that id."""
        return self._documents.get(id)

    def watch(self) -> asyncio.Event:
        """An event that is set whenever an agreement has changed."""
        self._watchers.append(asyncio.Event())
        return self._watchers[-1]

    async def start(self) -> None:
        """Reads all, then follows."""
        await self._look()
        self._task = asyncio.create_task(self._follow(), name="agreements")

    async def stop(self) -> None:
        """Ends following."""
        await end([self._task])

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            with contextlib.suppress(PyMongoError):
                await self._look()

    async def _look(self) -> None:
        changed = await self.container.in_thread(self._changed)
        if changed is not None:
            self._documents = {raw["_id"]: from_raw(AgreementDocument, raw) for raw in changed}
            self._revisions = {raw["_id"]: raw[REVISION] for raw in changed}
            for watcher in self._watchers:
                watcher.set()

    def _changed(self) -> list[Raw] | None:
        """Blocking: all agreements, or None where none has changed."""
        collection = self.container.database[collection_of(AgreementDocument)]
        revisions = {raw["_id"]: raw[REVISION] for raw in collection.find({}, {REVISION: 1})}
        return None if revisions == self._revisions else list(collection.find())
