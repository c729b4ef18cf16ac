"""`StreamReadings` → hourly events → effects, end to end, against raw parts with the same sizes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
from pymongo import MongoClient

from bench.city import PER_HOUR, STATIONS, City
from bench.figures import Figures, Plan, Ratio, Report, alternate, median
from bench.load import Client
from bench.locality import ENVIRONMENT, HOUR, Locality
from bench.processes import Process
from bench.servers import Servers, running

_SERVICE = "/lienthong.environment.v1.EnvironmentService"
_ABOUT_PER_SECOND = 3000
"""Readings for each second a run is asked to last."""
_PATIENCE_S = 120.0


async def measure(plan: Plan) -> Report:
    """Readings per second: from the first message sent until the effect of the last hour they closed is there."""
    city = City(max(3, round(plan.seconds * _ABOUT_PER_SECOND / STATIONS / PER_HOUR)))
    plan.say(f"  {city.readings:,} readings of {STATIONS} stations, {city.closed_hours:,} hourly events")
    async with running(plan.folder) as servers:

        async def raw() -> Figures:
            await servers.wipe()
            log = plan.folder / "raw.log"
            start = Process.start(
                "bench.raw.readings", log=log, mongodb=servers.mongodb, nats_url=servers.nats, hours=city.hours
            )
            async with start as process:
                seconds = (await process.ask("run"))["seconds"]
                return {"readings_per_s": city.readings / seconds}

        runs = await alternate(plan, {"ours": lambda: _ours(plan, servers, city), "raw parts": raw})
    ratio = Ratio(
        "readings → hours → effects",
        median(runs["ours"], "readings_per_s"),
        median(runs["raw parts"], "readings_per_s"),
        "readings/s",
        "insert_many, publish, fetch, insert_many",
        at_least=0.4,
    )
    return Report("streaming", [ratio], runs)


async def _ours(plan: Plan, servers: Servers, city: City) -> Figures:
    await servers.wipe()
    locality = Locality(plan.folder)
    batches = list(city.batches())
    async with locality.host(servers.mongodb, servers.nats, [ENVIRONMENT, HOUR]) as host:
        async with Client(locality.address, f"{_SERVICE}/RegisterStation", locality.metadata()) as client:
            await asyncio.gather(*(client.call(registration) for registration in city.registrations()))
        used, began = host.cpu_s(), time.perf_counter()
        await _stream(locality, batches)
        answered = time.perf_counter() - began
        await asyncio.to_thread(_until, servers.mongodb, city.closed_hours)
        seconds = time.perf_counter() - began
        return {
            "readings_per_s": city.readings / seconds,
            "answered_per_s": city.readings / answered,
            "service_us_per_reading": 1e6 * (host.cpu_s() - used) / city.readings,
        }


async def _stream(locality: Locality, batches: list[bytes]) -> None:
    async def requests() -> AsyncIterator[bytes]:
        for batch in batches:
            yield batch

    async with grpc.aio.insecure_channel(locality.address) as channel:
        call: Any = channel.stream_stream(f"{_SERVICE}/StreamReadings")
        answers = [answer async for answer in call(requests(), metadata=locality.metadata())]
    if len(answers) != len(batches):
        raise SystemExit(f"{len(answers)} of {len(batches)} batches were answered")


def _until(mongodb: str, wanted: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    with MongoClient[dict[str, Any]](mongodb) as mongo:
        consequences = mongo["da_nang_hour"]["consequences"]
        while (found := consequences.estimated_document_count()) < wanted:
            if time.monotonic() > deadline:
                raise SystemExit(f"{wanted - found} of {wanted} effects are missing")
            time.sleep(0.02)
