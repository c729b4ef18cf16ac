"""Who of several processes of one service does what only one needs to do.

Each process keeps a document alive; work is assigned by rendezvous hashing over the living. This only avoids
waste: that nothing is applied twice is decided by compare-and-set in the commits, so two processes that both
believe they hold a line are safe.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from zlib import crc32

from pymongo.database import Database
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from mesh.ending import end
from mesh.unit import Raw

_logger = logging.getLogger(__name__)


class Members:
    """The living processes of a service."""

    def __init__(self, database: Database[Raw], *, ttl_s: float, instance: str) -> None:
        # A lost heartbeat costs one round of it: no need to wait for the journal. Read as written: a majority read
        # may not show a process the heartbeat it has just left, and it would hold nothing until the next.
        self._collection = database["members"].with_options(
            read_concern=ReadConcern("local"), write_concern=WriteConcern(w=1)
        )
        self._ttl_s = ttl_s
        self._instance = instance
        self._living: tuple[str, ...] = ()
        self._task: asyncio.Task[None] | None = None

    def holds(self, duty: str) -> bool:
        """Says whether a duty, such as a line's partition, falls to this process."""
        if not self._living:
            return False
        return max(self._living, key=lambda member: crc32(f"{member}|{duty}".encode())) == self._instance

    @property
    def beat_s(self) -> float:
        """Seconds between two heartbeats, and so between two looks at who lives."""
        return self._ttl_s / 3

    @property
    def alone(self) -> bool:
        """Whether no other process of the service is known to live."""
        return self._living == (self._instance,)

    def remember_session(self, session_id: Raw) -> None:
        """Blocking: records the session in which this process commits, so that others can end it after a crash."""
        self._collection.update_one({"_id": self._instance}, {"$set": {"session": session_id}}, upsert=True)

    async def start(self) -> None:
        """Ends what others left behind, joins the living and stays among them."""
        await asyncio.to_thread(self._end_sessions, {"_id": {"$ne": self._instance}})
        await self._beat()
        self._task = asyncio.create_task(self._keep_alive())

    async def stop(self) -> None:
        """Leaves at once, so that others take over without waiting for the heartbeat to age."""
        await end([self._task])
        with contextlib.suppress(PyMongoError):
            await asyncio.to_thread(self._collection.delete_one, {"_id": self._instance})

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self.beat_s)
            try:
                await self._beat()
            except PyMongoError as error:
                _logger.warning("a heartbeat failed: %s", type(error).__name__)

    async def _beat(self) -> None:
        self._living = await asyncio.to_thread(self._renew)

    def _renew(self) -> tuple[str, ...]:
        # The server's clock decides, so the clocks of the processes need not agree.
        self._collection.update_one(
            {"_id": self._instance},
            [{"$set": {"until": {"$add": ["$$NOW", int(self._ttl_s * 1000)]}}}],
            upsert=True,
        )
        members = list(self._collection.find({}, {"alive": {"$gt": ["$until", "$$NOW"]}}))
        if not all(member["alive"] for member in members):
            self._end_sessions({"$expr": {"$lt": ["$until", "$$NOW"]}})
            self._collection.delete_many({"$expr": {"$lt": ["$until", "$$NOW"]}})
        return tuple(sorted(member["_id"] for member in members if member["alive"]))

    def _end_sessions(self, members: Raw) -> None:
        """Ends the transactions that other members have open.

        MongoDB keeps a dead client's transaction, and with it the counter document, for
        `transactionLifetimeLimitSeconds` (60 s): nobody else could commit. A living process whose transaction is
        ended this way runs it again.
        """
        sessions = [member["session"] for member in self._collection.find(members) if "session" in member]
        if sessions:
            self._collection.database.client.admin.command("killSessions", sessions)
