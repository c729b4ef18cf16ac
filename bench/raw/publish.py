"""Publishes a list of messages with nats-py's `publish_async` and nothing else."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import nats
from pymongo import MongoClient

from bench.processes import Link


async def main(link: Link, mongodb: str, nats_url: str, database: str) -> None:
    """Publishes what the log of a service holds, with its headers, to a stream of its own each time it is asked."""
    client = await nats.connect(nats_url)
    link.say()

    async def publish(stream: str, entries: int) -> dict[str, Any]:
        logged = await asyncio.to_thread(_entries, mongodb, database, entries)
        jetstream = client.jetstream(publish_async_max_pending=4000)
        await jetstream.add_stream(name=stream, subjects=[f"{stream}.>"])
        messages = [(f"{stream}.{entry['subject']}", entry["data"], entry["headers"]) for entry in logged]
        began = time.perf_counter()
        for subject, data, headers in messages:
            await jetstream.publish_async(subject, data, wait_stall=20, headers=headers)
        await jetstream.publish_async_completed()
        seconds = time.perf_counter() - began
        await jetstream.delete_stream(stream)
        return {"seconds": seconds, "messages": len(messages)}

    await link.serve({"publish": publish})
    await client.close()


def _entries(mongodb: str, database: str, count: int) -> list[dict[str, Any]]:
    with MongoClient[dict[str, Any]](mongodb) as mongo:
        return list(mongo[database]["log"].find({}, {"subject": 1, "data": 1, "headers": 1}).sort("_id").limit(count))
