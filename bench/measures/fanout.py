"""Events to many subscribers, one of them stalled, against a bare `grpc.aio` fan-out with the same bytes."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from bench.figures import Figures, Plan, Ratio, Report, alternate, median, percentiles_ms
from bench.locality import BENCH, GATEWAY, Locality
from bench.processes import Process
from bench.servers import Servers, running
from mesh.stack.ports import LOOPBACK, free_port

CROWDS = ((1000, 5.0), (100, 50.0))
"""Subscribers, and events per second."""
WARM_UP_S = 1.0
"""Also fills the stalled subscriber's window, so that it is held all through the measurement, or cut off in it."""
SLOW_READER_S = 1.0
"""The gateway's patience, shorter than its 20 s: a reader is cut off at most twice as long after it was held."""


async def measure(plan: Plan) -> Report:
    """Processor time and latency of a delivery, from the call that sets the event off to the subscriber."""
    report = Report("fanout")
    async with running(plan.folder) as servers:
        for subscribers, per_second in CROWDS:
            plan.say(f"  {subscribers} subscribers × {per_second:g} events/s")
            contestants = {
                "ours": partial(_ours, plan, servers, subscribers, per_second),
                "bare grpc.aio": partial(_bare, plan, subscribers, per_second),
            }
            runs = await alternate(plan, contestants)
            report.runs |= {f"{name}, {subscribers} × {per_second:g}": found for name, found in runs.items()}
            report.ratios += _ratios(f"fan-out {subscribers} × {per_second:g}/s", runs)
    return report


def _ratios(name: str, runs: dict[str, list[Figures]]) -> list[Ratio]:
    def ratio(what: str, figure: str, unit: str, at_most: float | None = None, at_least: float | None = None) -> Ratio:
        ours, other = median(runs["ours"], figure), median(runs["bare grpc.aio"], figure)
        return Ratio(f"{name}: {what}", ours, other, unit, "bare grpc.aio fan-out", at_most=at_most, at_least=at_least)

    return [
        ratio("delivered", "delivered_per_s", "deliveries/s", at_least=0.9),
        ratio("processor time", "server_us_per_delivery", "µs/delivery", at_most=1.5),
        # Ours commits each event and takes it over the bus first.
        ratio("latency p50", "p50_ms", "ms"),
        ratio("latency p99", "p99_ms", "ms"),
    ]


async def _ours(plan: Plan, servers: Servers, subscribers: int, per_second: float) -> Figures:
    """The gateway in a process of its own, so that its processor time is not that of the commits."""
    await servers.wipe()
    locality, port = Locality(plan.folder), free_port()
    at = {"grpc_port": port, "services": {"bench": locality.address}, "runtime": {"slow_reader_s": SLOW_READER_S}}
    async with (
        locality.host(servers.mongodb, servers.nats, [BENCH]),
        locality.host(servers.mongodb, servers.nats, [GATEWAY], **at) as gateway,
    ):
        crowd = {"gateway": f"{LOOPBACK}:{port}", "recorder": locality.address, "metadata": locality.metadata()}
        async with _crowd(plan, crowd) as load:
            figures = await _load(plan, gateway, load, subscribers, per_second)
            found = await load.ask("wake")
    if found["ended"] != "RESOURCE_EXHAUSTED":
        raise SystemExit("the gateway did not cut off the subscriber that took nothing; are the runs too short?")
    return figures | {"stalled_took": found["took"]}


async def _bare(plan: Plan, subscribers: int, per_second: float) -> Figures:
    async with Process.start("bench.raw.fanout", log=plan.folder / "fanout.log") as server:
        address = f"{LOOPBACK}:{server.ready['port']}"
        crowd = {"gateway": address, "recorder": address, "metadata": []}
        async with _crowd(plan, crowd) as load:
            figures = await _load(plan, server, load, subscribers, per_second)
            waiting = (await server.ask("waiting"))["deliveries"]
            found = await load.ask("wake")
    if not waiting:
        raise SystemExit("the bare server did not hold the subscriber that took nothing")
    return figures | {"stalled_took": found["took"] - waiting}


def _crowd(plan: Plan, given: dict[str, Any]) -> AbstractAsyncContextManager[Process]:
    return Process.start("bench.raw.subscribers", log=plan.folder / "subscribers.log", **given)


async def _load(plan: Plan, server: Process, crowd: Process, subscribers: int, per_second: float) -> Figures:
    await crowd.ask("open", count=subscribers)
    await crowd.ask("run", per_second=per_second, seconds=WARM_UP_S)
    used = server.cpu_s()
    came = await crowd.ask("run", per_second=per_second, seconds=plan.seconds)
    return {
        "delivered_per_s": came["delivered"] / came["seconds"],
        "server_us_per_delivery": 1e6 * (server.cpu_s() - used) / came["delivered"],
        **percentiles_ms(came["latencies"]),
    }
