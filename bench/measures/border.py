"""Change → effect in another locality at 100 events/s, against raw NATS over the same leaf nodes."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import grpc

from bench.contract import CHANGE, change_request
from bench.figures import Figures, Plan, Ratio, Report, alternate, median, percentiles_ms
from bench.load import Client, paced
from bench.locality import BENCH, EXCHANGE, NEIGHBOUR, Locality
from bench.processes import Process
from bench.servers import running_bus, running_mongod, wipe_databases, wipe_streams
from lienthong.exchange import v1 as exchange
from mesh.stack.bus import Bus

PER_SECOND = 100
PROVIDER, RECIPIENT = "da-nang", "hue"
_WARM_UP_S = 1.0
_PATIENCE_S = 60.0


async def measure(plan: Plan) -> Report:
    """From the change's call, or the begin of its transaction, to the answer to the commit of the effect."""
    async with running_mongod(plan.folder) as mongod, running_bus(plan.folder, [PROVIDER, RECIPIENT]) as bus:
        await bus.hub.apply([(PROVIDER, RECIPIENT)])
        await bus.hub.wait_linked([PROVIDER, RECIPIENT])
        runs = await alternate(
            plan,
            {
                "ours": lambda: _ours(plan, mongod.uri, bus),
                "raw": lambda: _raw(plan, mongod.uri, bus, 1),
                "raw, four transactions": lambda: _raw(plan, mongod.uri, bus, 2),
            },
        )
    return Report("border", [_ratio(runs, "raw", 2.0), _ratio(runs, "raw, four transactions", None)], runs)


def _ratio(runs: dict[str, list[Figures]], other: str, target: float | None) -> Ratio:
    return Ratio(
        "change → effect across the border, p50",
        median(runs["ours"], "p50_ms"),
        median(runs[other], "p50_ms"),
        "ms",
        f"{other}, over the leaf nodes",
        at_most=target,
        notes={"p99_ms": median(runs["ours"], "p99_ms"), "p99_ms_of_other": median(runs[other], "p99_ms")},
    )


async def _ours(plan: Plan, mongodb: str, bus: Bus) -> Figures:
    await _wipe(mongodb, bus)
    provider, recipient = Locality(plan.folder, PROVIDER), Locality(plan.folder, RECIPIENT)
    provider.peers, recipient.peers = [recipient], [provider]
    async with AsyncExitStack() as hosts:
        enter = hosts.enter_async_context
        await enter(provider.host(mongodb, _url(bus, PROVIDER), [BENCH, EXCHANGE]))
        moments = {"consequence": "consequences"}
        host = await enter(recipient.host(mongodb, _url(bus, RECIPIENT), [NEIGHBOUR, EXCHANGE], moments))
        for side in (recipient, provider):
            await _agree(side)
        client = await enter(Client(provider.address, CHANGE, provider.metadata()))
        await paced(client.call, lambda n: change_request(f"warm-{n}"), seconds=_WARM_UP_S, per_second=PER_SECOND)
        await _moments(host, "warm", int(_WARM_UP_S * PER_SECOND), collection="consequences")
        calls = await paced(
            client.call, lambda n: change_request(f"c-{n}"), seconds=plan.seconds, per_second=PER_SECOND
        )
        effects = await _moments(host, "c", len(calls), collection="consequences")
        return percentiles_ms([effects[f"c-{number}"] - began for number, (began, _) in calls.items()])


async def _raw(plan: Plan, mongodb: str, bus: Bus, transactions: int) -> Figures:
    await _wipe(mongodb, bus)
    async with AsyncExitStack() as sides:

        async def side(name: str, locality: str) -> Process:
            start = Process.start(
                "bench.raw.border",
                log=plan.folder / f"raw-{name}.log",
                mongodb=mongodb,
                nats_url=_url(bus, locality),
                provider=PROVIDER,
                recipient=RECIPIENT,
                side=name,
                transactions=transactions,
            )
            return await sides.enter_async_context(start)

        provider, recipient = await side("provider", PROVIDER), await side("recipient", RECIPIENT)
        await provider.ask("load", prefix="warm", seconds=_WARM_UP_S, per_second=PER_SECOND)
        await _moments(recipient, "warm", int(_WARM_UP_S * PER_SECOND))
        await _moments(provider, "warm", int(_WARM_UP_S * PER_SECOND))
        await provider.ask("load", prefix="c", seconds=plan.seconds, per_second=PER_SECOND)
        changes = await _moments(provider, "c", int(plan.seconds * PER_SECOND))
        effects = await _moments(recipient, "c", len(changes))
        return percentiles_ms([effects[id] - began for id, began in changes.items()])


async def _wipe(mongodb: str, bus: Bus) -> None:
    await asyncio.to_thread(wipe_databases, mongodb)
    for node in bus.nodes.values():
        await wipe_streams(node.url_with_login)


def _url(bus: Bus, locality: str) -> str:
    return bus.nodes[locality].url_with_login


async def _agree(side: Locality) -> None:
    agreement = exchange.Agreement(
        id="bench-1",
        provider=PROVIDER,
        recipient=RECIPIENT,
        purpose="measurement",
        legal_basis="decree-278-2025/art-7",
        events=[exchange.SharedEvent(type="bench.v1.Changed", fields=["id", "amount", "note"])],
    )
    agreement.valid_from.FromDatetime(datetime(2020, 1, 1, tzinfo=UTC))
    agreement.valid_until.FromDatetime(datetime(2099, 1, 1, tzinfo=UTC))
    request = exchange.ApplyAgreementRequest(request_id=uuid.uuid4().hex, agreement=agreement)
    async with grpc.aio.insecure_channel(side.address) as channel:
        apply = channel.unary_unary("/lienthong.exchange.v1.ExchangeService/ApplyAgreement")
        await apply(request.SerializeToString(), metadata=side.metadata(), timeout=20)


async def _moments(process: Process, prefix: str, wanted: int, **given: str) -> dict[str, float]:
    found: dict[str, float] = {}
    deadline = time.monotonic() + _PATIENCE_S
    while len(found) < wanted:
        if time.monotonic() > deadline:
            raise SystemExit(f"{wanted - len(found)} of {wanted} moments are missing at {process.module}")
        moments = (await process.ask("moments", **given))["moments"]
        found |= {id: at for id, at in moments.items() if id.startswith(f"{prefix}-")}
        await asyncio.sleep(0.05)
    return found
