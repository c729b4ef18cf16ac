"""The relay alone, publishing a full log, against plain `publish_async` of the same messages."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from pymongo import MongoClient

from bench.figures import Figures, Plan, Ratio, Report, alternate, median
from bench.fill import fill_log
from bench.locality import BENCH, Locality
from bench.processes import Process
from bench.servers import running

ENTRIES = 20_000


async def measure(plan: Plan) -> Report:
    """Events per second from the moment the log is full until the stream has all of it; the relay reads the log too."""
    locality = Locality(plan.folder)
    position = 0
    async with (
        running(plan.folder) as servers,
        locality.host(servers.mongodb, servers.nats, [BENCH]) as host,
        Process.start(
            "bench.raw.publish",
            log=plan.folder / "raw.log",
            mongodb=servers.mongodb,
            nats_url=servers.nats,
            database="da_nang_bench",
        ) as raw,
    ):

        async def ours() -> Figures:
            nonlocal position
            await asyncio.to_thread(_fill, servers.mongodb, position + 1)
            position += ENTRIES
            before = host.cpu_s()
            seconds = (await host.ask("relay", service="bench", until=position))["seconds"]
            return {"events_per_s": ENTRIES / seconds, "service_us": 1e6 * (host.cpu_s() - before) / ENTRIES}

        async def plain() -> Figures:
            before = raw.cpu_s()
            done = await raw.ask("publish", stream=f"RAW{position}", entries=ENTRIES)
            rate = done["messages"] / done["seconds"]
            return {"events_per_s": rate, "service_us": 1e6 * (raw.cpu_s() - before) / done["messages"]}

        runs = await alternate(plan, {"ours": ours, "publish_async": plain})
    ratio = Ratio(
        "relay of a full log",
        median(runs["ours"], "events_per_s"),
        median(runs["publish_async"], "events_per_s"),
        "events/s",
        "publish_async",
        at_least=0.8,
    )
    return Report("relay", [ratio], runs)


def _fill(mongodb: str, first: int) -> None:
    with MongoClient[dict[str, Any]](mongodb) as mongo:
        fill_log(mongo["da_nang_bench"], first, ENTRIES, datetime.now(UTC))
