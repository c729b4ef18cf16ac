"""Changes in one locality with effects in another, over the same leaf nodes: two transactions, raw NATS between them.

The stream of one locality is sourced by a stream of the other. One process for each, as ours.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import nats
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig
from pymongo import MongoClient
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from bench.contract import NOTE, Changed
from bench.processes import Link
from mesh.events import new_event, to_headers
from mesh.sharing import declare_received, received_stream, share_stream

_DURABLE = WriteConcern(w="majority", j=True)
Document = dict[str, Any]


async def main(link: Link, mongodb: str, nats_url: str, provider: str, recipient: str, side: str) -> None:
    """Plays one side until the measurement ends."""
    client = await nats.connect(nats_url)
    database = MongoClient[Document](mongodb, tz_aware=True)[f"raw_{side}"]
    for name in ("changes", "log", "consequences", "effects", "marks"):
        database.create_collection(name)
    pool, loop = ThreadPoolExecutor(16), asyncio.get_running_loop()
    jetstream = client.jetstream()
    moments: dict[str, float] = {}

    async def change(id: str) -> None:
        moments[id] = time.time()
        event = new_event(Changed(id=id, amount=1, note=NOTE), source=f"/{provider}/bench", time=datetime.now(UTC))
        headers = to_headers(event)
        await loop.run_in_executor(pool, _write_change, database, id, headers, event.data)
        await jetstream.publish(f"shared.{provider}.{recipient}.raw", event.data, headers=headers)

    async def load(prefix: str, seconds: float, per_second: float) -> Document:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as changes:
            for number in range(int(seconds * per_second)):
                await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
                changes.create_task(change(f"{prefix}-{number}"))
        return {}

    async def follow(message: Msg) -> None:
        changed = Changed.FromString(message.data)
        await loop.run_in_executor(pool, _write_consequence, database, changed)
        moments[changed.id] = time.time()
        await message.ack()

    running: set[asyncio.Task[None]] = set()

    async def arrived(message: Msg) -> None:
        # Effects of several events are written at the same time.
        task = asyncio.create_task(follow(message))
        running.add(task)
        task.add_done_callback(running.discard)

    async def take() -> Document:
        taken = dict(moments)
        moments.clear()
        return {"moments": taken}

    if side == "provider":
        await jetstream.add_stream(
            StreamConfig(name=share_stream(provider, recipient), subjects=[f"shared.{provider}.{recipient}.>"])
        )
    else:
        await declare_received(jetstream, recipient, [provider])
        config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, max_ack_pending=1000)
        await jetstream.subscribe(
            f"shared.{provider}.{recipient}.>",
            stream=received_stream(recipient),
            durable="raw",
            cb=arrived,
            manual_ack=True,
            config=config,
        )
    link.say()
    await link.serve({"load": load, "moments": take})
    await client.close()


def _write_change(database: Any, id: str, headers: dict[str, str], data: bytes) -> None:
    entry = {"_id": headers["ce-id"], "headers": headers, "data": data, "at": datetime.now(UTC)}
    with (
        database.client.start_session() as session,
        session.start_transaction(read_concern=ReadConcern("snapshot"), write_concern=_DURABLE),
    ):
        database["changes"].insert_one({"_id": id, "amount": 1, "note": NOTE}, session=session)
        database["log"].insert_one(entry, session=session)


def _write_consequence(database: Any, changed: Any) -> None:
    effect = {"subscription": "raw", "causation_id": changed.id, "at": datetime.now(UTC)}
    with (
        database.client.start_session() as session,
        session.start_transaction(read_concern=ReadConcern("snapshot"), write_concern=_DURABLE),
    ):
        consequence = {"_id": changed.id, "amount": changed.amount, "note": changed.note}
        database["consequences"].insert_one(consequence, session=session)
        database["effects"].insert_one(effect, session=session)
