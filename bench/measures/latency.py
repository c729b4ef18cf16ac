"""Commit → effect at 100 events/s, against FastStream's publish → effect."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import nats

from bench.contract import CHANGE, NOTE, change_request
from bench.figures import Figures, Plan, Ratio, Report, alternate, median, percentiles_ms
from bench.load import Client, paced
from bench.locality import BENCH, CONSEQUENCE, Locality
from bench.peers.messages import change_json
from bench.processes import Process
from bench.servers import Servers, running

PER_SECOND = 100
_WARM_UP_S = 1.0
_PATIENCE_S = 30.0


async def measure(plan: Plan) -> Report:
    """From the answer to the change's commit, or the moment before the publish, to the answer to the effect's."""
    async with running(plan.folder) as servers:
        runs = await alternate(
            plan, {"ours": lambda: _ours(plan, servers), "FastStream": lambda: _faststream(plan, servers)}
        )
    ratios = [
        Ratio(
            f"commit → effect, {name}",
            median(runs["ours"], f"{name}_ms"),
            median(runs["FastStream"], f"{name}_ms"),
            "ms",
            "FastStream, publish → effect",
            at_most=3.0,
        )
        for name in ("p50", "p99")
    ]
    return Report("latency", ratios, runs)


async def _ours(plan: Plan, servers: Servers) -> Figures:
    await servers.wipe()
    locality = Locality(plan.folder)
    moments = {"bench": "changes", "consequence": "consequences"}
    async with (
        locality.host(servers.mongodb, servers.nats, [BENCH, CONSEQUENCE], moments) as host,
        Client(locality.address, CHANGE, locality.metadata()) as client,
    ):
        await paced(client.call, lambda n: change_request(f"warm-{n}"), seconds=_WARM_UP_S, per_second=PER_SECOND)
        await paced(client.call, lambda n: change_request(f"c-{n}"), seconds=plan.seconds, per_second=PER_SECOND)
        return await _figures(plan, host)


async def _faststream(plan: Plan, servers: Servers) -> Figures:
    await servers.wipe()
    log = plan.folder / "faststream.log"
    async with Process.start("bench.peers.faststream_app", log=log, mongodb=servers.mongodb, nats=servers.nats) as peer:
        client = await nats.connect(servers.nats)

        def call(request: bytes) -> Any:
            return client.request("peer.change", request, timeout=20)

        try:
            await paced(call, lambda n: change_json(f"warm-{n}", NOTE), seconds=_WARM_UP_S, per_second=PER_SECOND)
            await paced(call, lambda n: change_json(f"c-{n}", NOTE), seconds=plan.seconds, per_second=PER_SECOND)
            return await _figures(plan, peer)
        finally:
            await client.close()


async def _figures(plan: Plan, process: Process) -> Figures:
    changed = await _moments(process, "changes", int(plan.seconds * PER_SECOND))
    effective = await _moments(process, "consequences", len(changed))
    # An effect may be seen durable before its own change is: the stream is read while the caller is being answered.
    return percentiles_ms([max(0.0, effective[id] - changed[id]) for id in changed])


async def _moments(process: Process, collection: str, wanted: int) -> dict[str, float]:
    """When each change was recorded, or had its effect; warm-up left out."""
    found: dict[str, float] = {}
    deadline = time.monotonic() + _PATIENCE_S
    while len(found) < wanted:
        if time.monotonic() > deadline:
            raise SystemExit(f"{wanted - len(found)} of {wanted} {collection} are missing")
        moments = (await process.ask("moments", collection=collection))["moments"]
        found |= {id: at for id, at in moments.items() if id.startswith("c-")}
        await asyncio.sleep(0.05)
    return found
