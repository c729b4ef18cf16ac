"""Growth: cost per event with more localities, and with more documents and log entries already there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from pymongo import MongoClient

from bench.contract import CHANGE, change_request
from bench.figures import Figures, Plan, Ratio, Report, alternate, median
from bench.fill import fill_service
from bench.load import Client, paced
from bench.locality import BENCH, CONSEQUENCE, Locality
from bench.servers import Servers, running, running_bus, running_mongod
from mesh import localities as known

LOCALITIES = (1, 4, 8, 16)
DOCUMENTS = (1_000, 10_000, 100_000, 1_000_000)
PER_SECOND = 50
"""So few that each commit carries one event wherever it is: what is measured is not how well commits are shared."""
WITHIN = 1.15
_WARM_UP_S = 2.0
_PATIENCE_S = 60.0
_HOUR_S = 3600
_RUNS = 3
"""At most: starting sixteen localities takes its time."""


async def measure(plan: Plan) -> Report:
    """Processor time of all servers and services per event at a fixed pace, less what they use when idle."""
    runs = await _by_localities(plan) | await _by_documents(plan)
    table = [{"growth": name, "us_per_event": median(of, "us_per_event")} for name, of in runs.items()]
    ratios = []
    for kind, sizes in (("localities", LOCALITIES), ("documents", DOCUMENTS)):
        least = median(runs[f"{sizes[0]:,} {kind}"], "us_per_event")
        for size in sizes[1:]:
            cost = median(runs[f"{size:,} {kind}"], "us_per_event")
            against = f"{sizes[0]:,} {kind}"
            ratios.append(Ratio(f"cost with {size:,} {kind}", cost, least, "µs/event", against, at_most=WITHIN))
    return Report("growth", ratios, runs, table)


async def _by_localities(plan: Plan) -> dict[str, list[Figures]]:
    slugs = [slug for slug in known.slugs() if slug != known.NATIONAL]

    async def run(count: int) -> Figures:
        folder = plan.folder / f"{count}-{time.monotonic_ns()}"
        folder.mkdir()
        async with (
            running_mongod(folder) as mongod,
            running_bus(folder, slugs[:count]) as bus,
            AsyncExitStack() as hosts,
        ):
            sides = [Locality(folder, slug) for slug in slugs[:count]]
            processes = [
                await hosts.enter_async_context(
                    side.host(mongod.uri, bus.nodes[side.slug].url_with_login, [BENCH, CONSEQUENCE])
                )
                for side in sides
            ]
            children = [mongod.child, bus.hub.server.child, *(node.child for node in bus.nodes.values())]
            pids = [*(child.pid for child in children if child.pid), *(process.pid for process in processes)]
            return await _cost(plan, mongod.uri, sides, pids)

    contestants = {f"{count:,} localities": lambda count=count: run(count) for count in LOCALITIES}
    return await alternate(plan, contestants, min(plan.runs, _RUNS))


async def _by_documents(plan: Plan) -> dict[str, list[Figures]]:
    """All sizes are there from the beginning and are measured in turn: none finds a younger or busier machine."""
    async with AsyncExitStack() as open_servers:
        contestants: dict[str, Callable[[], Awaitable[Figures]]] = {}
        for count in DOCUMENTS:
            folder = plan.folder / f"{count}-documents"
            folder.mkdir()
            servers = await open_servers.enter_async_context(running(folder))
            await asyncio.to_thread(fill_service, servers.mongodb, count)
            contestants[f"{count:,} documents"] = partial(_over_documents, plan, folder, servers)
        return await alternate(plan, contestants, min(plan.runs, _RUNS))


async def _over_documents(plan: Plan, folder: Path, servers: Servers) -> Figures:
    side = Locality(folder)
    async with side.host(servers.mongodb, servers.nats, [BENCH, CONSEQUENCE]) as host:
        return await _cost(plan, servers.mongodb, [side], [*servers.pids, host.pid])


async def _cost(plan: Plan, mongodb: str, sides: list[Locality], pids: list[int]) -> Figures:
    """Events in turn to all localities; every change is waited for until it has had its effect."""
    run = f"r{time.monotonic_ns()}"
    async with AsyncExitStack() as open_clients:
        clients = [
            await open_clients.enter_async_context(Client(side.address, CHANGE, side.metadata())) for side in sides
        ]

        async def load(prefix: str, seconds: float) -> int:
            numbers = iter(range(10**9))

            async def call(request: bytes) -> Any:
                return await clients[next(numbers) % len(clients)].call(request)

            return len(
                await paced(
                    call, lambda n: change_request(f"{run}-{prefix}-{n}"), seconds=seconds, per_second=PER_SECOND
                )
            )

        warmed = await load("warm", _WARM_UP_S)
        await asyncio.to_thread(_until, mongodb, sides, run, warmed)
        await asyncio.to_thread(_checkpoint, mongodb)
        before = _cpu_s(pids)
        await asyncio.sleep(plan.seconds)
        idle = _cpu_s(pids) - before
        before, began = _cpu_s(pids), time.perf_counter()
        count = await load("c", plan.seconds)
        await asyncio.to_thread(_until, mongodb, sides, run, warmed + count)
        seconds = time.perf_counter() - began
        used = _cpu_s(pids) - before - idle * seconds / plan.seconds
    return {"us_per_event": 1e6 * used / count, "idle_processor_percent": 100 * idle / plan.seconds}


def _checkpoint(mongodb: str) -> None:
    """Writes what is due, and leaves the next checkpoint to us.

    One each minute costs less than a hundredth of the load; in a window of seconds it would be a fifth, or nothing.
    """
    with MongoClient[dict[str, Any]](mongodb) as mongo:
        mongo.admin.command("setParameter", 1, syncdelay=_HOUR_S)
        mongo.admin.command("fsync")


def _cpu_s(pids: list[int]) -> float:
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def _until(mongodb: str, sides: list[Locality], run: str, wanted: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    criterion = {"_id": {"$gte": f"{run}-", "$lt": f"{run}."}}
    with MongoClient[dict[str, Any]](mongodb) as mongo:
        databases = [mongo[f"{side.slug}_consequence".replace("-", "_")] for side in sides]
        while (found := sum(database["consequences"].count_documents(criterion) for database in databases)) < wanted:
            if time.monotonic() > deadline:
                raise SystemExit(f"{wanted - found} of {wanted} effects are missing")
            time.sleep(0.05)
