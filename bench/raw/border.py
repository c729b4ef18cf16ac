"""Changes in one locality with effects in another, over the same leaf nodes: transactions, raw NATS between them.

The stream of one locality is sourced by a stream of the other. One process for each, as ours.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig
from pymongo import MongoClient
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from bench.contract import NOTE, Changed
from bench.processes import Link
from mesh.events import new_event, to_headers
from mesh.sharing import declare_received, received_stream, share_stream

_COLLECTIONS = ("changes", "log", "passed", "consequences", "effects")
_DURABLE = WriteConcern(w="majority", j=True)
Document = dict[str, Any]
Insert = tuple[str, Document]


async def main(
    link: Link, mongodb: str, nats_url: str, provider: str, recipient: str, side: str, transactions: int
) -> None:
    """Plays one side until the measurement ends, with so many transactions in a row."""
    client = await nats.connect(nats_url)
    database = MongoClient[Document](mongodb, tz_aware=True)[f"raw_{side}"]
    for name in _COLLECTIONS:
        database.create_collection(name)
    playing = (Provider if side == "provider" else Recipient)(client, database, provider, recipient, transactions)
    await playing.start()
    link.say()
    await link.serve({"load": playing.load, "moments": playing.take})
    await client.close()


class Side:
    """What both have in common: transactions in threads, and when each change or effect was."""

    def __init__(self, client: Client, database: Any, provider: str, recipient: str, transactions: int) -> None:
        self.provider, self.recipient = provider, recipient
        self.subject = f"shared.{provider}.{recipient}"
        self.jetstream = client.jetstream()
        self.moments: dict[str, float] = {}
        self._database, self._transactions = database, transactions
        self._pool = ThreadPoolExecutor(16)

    async def start(self) -> None:
        """Declares its stream."""
        raise NotImplementedError

    async def load(self, prefix: str, seconds: float, per_second: float) -> Document:
        """Makes changes at a steady pace."""
        raise NotImplementedError

    async def take(self) -> Document:
        """Moments by change since it was last asked."""
        taken = dict(self.moments)
        self.moments.clear()
        return {"moments": taken}

    async def commit(self, *inserts: Insert) -> None:
        """Commits in one transaction."""
        await asyncio.get_running_loop().run_in_executor(self._pool, self._commit, inserts)

    async def pass_on(self, headers: dict[str, str], data: bytes) -> None:
        """Commits what an exchange writes at least, if there is to be one: the event once more, and that it did."""
        for _ in range(self._transactions - 1):
            await self.commit(("passed", _entry(headers, data)), ("effects", {"causation_id": headers["ce-id"]}))

    def _commit(self, inserts: tuple[Insert, ...]) -> None:
        with (
            self._database.client.start_session() as session,
            session.start_transaction(read_concern=ReadConcern("snapshot"), write_concern=_DURABLE),
        ):
            for collection, document in inserts:
                self._database[collection].insert_one(document, session=session)


class Provider(Side):
    """Where changes are made."""

    async def start(self) -> None:
        stream = share_stream(self.provider, self.recipient)
        await self.jetstream.add_stream(StreamConfig(name=stream, subjects=[f"{self.subject}.>"]))

    async def load(self, prefix: str, seconds: float, per_second: float) -> Document:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as changes:
            for number in range(int(seconds * per_second)):
                await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
                changes.create_task(self._change(f"{prefix}-{number}"))
        return {}

    async def _change(self, id: str) -> None:
        self.moments[id] = time.time()
        changed = Changed(id=id, amount=1, note=NOTE)
        event = new_event(changed, source=f"/{self.provider}/bench", time=datetime.now(UTC))
        headers = to_headers(event)
        await self.commit(("changes", _document(changed)), ("log", _entry(headers, event.data)))
        await self.pass_on(headers, event.data)
        await self.jetstream.publish(f"{self.subject}.raw", event.data, headers=headers)


class Recipient(Side):
    """Where they have their effects."""

    async def start(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        await declare_received(self.jetstream, self.recipient, [self.provider])
        await self.jetstream.subscribe(
            f"{self.subject}.>",
            stream=received_stream(self.recipient),
            durable="raw",
            cb=self._arrived,
            manual_ack=True,
            config=ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, max_ack_pending=1000),
        )

    async def _arrived(self, message: Msg) -> None:
        # Effects of several events are written at the same time.
        task = asyncio.create_task(self._follow(message))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _follow(self, message: Msg) -> None:
        changed = Changed.FromString(message.data)
        await self.pass_on(dict(message.headers or {}), message.data)
        await self.commit(
            ("consequences", _document(changed)),
            ("effects", {"subscription": "raw", "causation_id": changed.id, "at": datetime.now(UTC)}),
        )
        self.moments[changed.id] = time.time()
        await message.ack()


def _document(changed: Any) -> Document:
    return {"_id": changed.id, "amount": changed.amount, "note": changed.note}


def _entry(headers: dict[str, str], data: bytes) -> Document:
    return {"_id": headers["ce-id"], "headers": headers, "data": data, "at": datetime.now(UTC)}
