"""Change → effect within a locality, changes as unary RPCs, against the same job in FastStream and in nameko."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import nats
from nats.aio.client import Client as Nats
from pymongo import MongoClient

from bench.contract import CHANGE, NOTE, change_request
from bench.figures import Figures, Plan, Ratio, Report, alternate, median
from bench.load import Client, closed
from bench.locality import BENCH, CONSEQUENCE, Locality
from bench.peers.messages import change_json
from bench.processes import Process
from bench.servers import Servers, rabbitmq_missing, running, running_rabbitmq

IN_FLIGHT = 128
_DRAIN_S = 120.0
_WARM_UP_S = 0.5


async def measure(plan: Plan) -> Report:
    """Effects per second: changes made for some seconds, until the last of them has had its effect."""
    missing = rabbitmq_missing()
    async with running(plan.folder) as servers:
        contestants: dict[str, Any] = {
            "ours": lambda: _ours(plan, servers),
            "FastStream": lambda: _faststream(plan, servers),
        }
        if missing:
            runs = await alternate(plan, contestants)
        else:
            async with running_rabbitmq(plan.folder) as amqp:
                runs = await alternate(plan, {**contestants, "nameko": lambda: _nameko(plan, servers, amqp)})
    ratios = [_ratio(runs, "FastStream", 1.3)]
    if not missing:
        ratios.append(_ratio(runs, "nameko", 2.0))
    return Report("effects", ratios, runs, left_out=[f"nameko over RabbitMQ: {missing}"] if missing else [])


def _ratio(runs: dict[str, list[Figures]], other: str, target: float) -> Ratio:
    return Ratio(
        "change → effect",
        median(runs["ours"], "effects_per_s"),
        median(runs[other], "effects_per_s"),
        "effects/s",
        other,
        at_least=target,
        notes={
            "service_us_per_effect": median(runs["ours"], "service_us"),
            "service_us_per_effect_of_other": median(runs[other], "service_us"),
        },
    )


async def _ours(plan: Plan, servers: Servers) -> Figures:
    await servers.wipe()
    locality = Locality(plan.folder)
    async with (
        locality.host(servers.mongodb, servers.nats, [BENCH, CONSEQUENCE]) as host,
        Client(locality.address, CHANGE, locality.metadata()) as client,
    ):

        async def load(prefix: str, seconds: float) -> int:
            loaded = await closed(
                client.call, lambda n: change_request(f"{prefix}-{n}"), seconds=seconds, in_flight=IN_FLIGHT
            )
            return loaded.calls

        return await _figures(plan, servers, "da_nang_consequence", host, load)


async def _faststream(plan: Plan, servers: Servers) -> Figures:
    await servers.wipe()
    log = plan.folder / "faststream.log"
    async with Process.start("bench.peers.faststream_app", log=log, mongodb=servers.mongodb, nats=servers.nats) as peer:
        client: Nats = await nats.connect(servers.nats)

        async def load(prefix: str, seconds: float) -> int:
            loaded = await closed(
                lambda request: client.request("peer.change", request, timeout=20),
                lambda n: change_json(f"{prefix}-{n}", NOTE),
                seconds=seconds,
                in_flight=IN_FLIGHT,
            )
            return loaded.calls

        try:
            return await _figures(plan, servers, "peer", peer, load)
        finally:
            await client.close()


async def _nameko(plan: Plan, servers: Servers, amqp: str) -> Figures:
    await servers.wipe()
    log = plan.folder / "nameko.log"
    async with (
        Process.start("bench.peers.nameko_app", log=log, mongodb=servers.mongodb, amqp=amqp) as peer,
        Process.start("bench.peers.nameko_client", log=log, amqp=amqp) as client,
    ):

        async def load(prefix: str, seconds: float) -> int:
            done = await client.ask("load", prefix=prefix, seconds=seconds, in_flight=IN_FLIGHT)
            return int(done["calls"])

        return await _figures(plan, servers, "peer", peer, load)


async def _figures(plan: Plan, servers: Servers, database: str, service: Process, load: Any) -> Figures:
    with MongoClient[dict[str, Any]](servers.mongodb) as mongo:
        consequences = mongo[database]["consequences"]
        done = await load("warm", _WARM_UP_S)
        await _until(consequences.estimated_document_count, done)
        used, began = service.cpu_s(), time.perf_counter()
        count = await load("change", plan.seconds)
        answered_s = time.perf_counter() - began
        await _until(consequences.estimated_document_count, done + count)
        seconds = time.perf_counter() - began
    return {
        "effects_per_s": count / seconds,
        "changes_per_s": count / answered_s,
        "service_us": 1e6 * (service.cpu_s() - used) / count,
    }


async def _until(count: Any, wanted: int) -> None:
    deadline = time.monotonic() + _DRAIN_S
    while (found := await asyncio.to_thread(count)) < wanted:
        if time.monotonic() > deadline:
            raise SystemExit(f"{wanted - found} of {wanted} effects are missing")
        await asyncio.sleep(0.02)
