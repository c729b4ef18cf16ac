"""The same job in FastStream over NATS: a change comes as a request, its effect follows from an event on JetStream.

As one writes it with FastStream and pymongo's asyncio client: insert, publish; on the other side insert, acknowledge.
Between the two a crash loses the event; a redelivery is inserted again and fails; nothing is traced.
"""

from __future__ import annotations

import time
from typing import Any

from faststream import FastStream
from faststream.nats import JStream, NatsBroker
from pydantic import BaseModel
from pymongo import AsyncMongoClient

from bench.processes import Link

WORKERS = 64
REQUESTS, EVENTS = "peer.change", "peer.changed"


class Change(BaseModel):
    """A change, as request and as event."""

    id: str
    amount: int
    note: str


class Answer(BaseModel):
    """What was recorded."""

    id: str
    amount: int


async def main(link: Link, mongodb: str, nats: str) -> None:
    """Runs both services until the measurement ends."""
    broker = NatsBroker(nats, logger=None)
    stream = JStream("PEER", subjects=[EVENTS])
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongodb, w="majority", journal=True)
    changes, consequences = client["peer"]["changes"], client["peer"]["consequences"]
    published: dict[str, float] = {}
    effective: dict[str, float] = {}

    @broker.subscriber(REQUESTS, max_workers=WORKERS)
    async def change(message: Change) -> Answer:
        await changes.insert_one({"_id": message.id, "amount": message.amount, "note": message.note})
        published[message.id] = time.time()
        await broker.publish(message, EVENTS, stream=stream.name)
        return Answer(id=message.id, amount=message.amount)

    @broker.subscriber(EVENTS, stream=stream, durable="consequences", max_workers=WORKERS)
    async def follow(message: Change) -> None:
        await consequences.insert_one({"_id": message.id, "amount": message.amount, "note": message.note})
        effective[message.id] = time.time()

    async def moments(collection: str) -> dict[str, Any]:
        noted = {"changes": published, "consequences": effective}[collection]
        taken = dict(noted)
        noted.clear()
        return {"moments": taken}

    app = FastStream(broker, logger=None)
    await app.start()
    link.say()
    await link.serve({"moments": moments})
    await app.stop()
    await client.close()
