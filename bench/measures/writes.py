"""Unary writes with one event each through group commit, against one transaction per request."""

from __future__ import annotations

from bench.contract import CHANGE, change_request
from bench.figures import Figures, Plan, Ratio, Report, alternate, median
from bench.load import Client, closed
from bench.locality import BENCH, Locality
from bench.processes import Process
from bench.servers import Servers, running

IN_FLIGHT = 128
THREADS = 32
_WARM_UP_S = 0.5


async def measure(plan: Plan) -> Report:
    """Answered writes per second in a closed loop."""
    locality = Locality(plan.folder)
    log = plan.folder / "raw.log"
    async with running(plan.folder) as servers:

        async def ours() -> Figures:
            await servers.wipe()
            async with locality.host(servers.mongodb, servers.nats, [BENCH]) as host:
                return await _load(plan, locality, host, servers)

        async def raw() -> Figures:
            await servers.wipe()
            start = Process.start("bench.raw.transactions", log=log, mongodb=servers.mongodb, threads=THREADS)
            async with start as server:
                return await _load(plan, locality, server, servers)

        runs = await alternate(plan, {"ours": ours, "one transaction per request": raw})
    mine, other = runs["ours"], runs["one transaction per request"]
    ratio = Ratio(
        "unary write with an event",
        median(mine, "writes_per_s"),
        median(other, "writes_per_s"),
        "writes/s",
        "one transaction per request",
        at_least=2.5,
        notes={
            "service_us_per_write": median(mine, "service_us"),
            "service_us_per_write_of_other": median(other, "service_us"),
            "servers_us_per_write": median(mine, "servers_us"),
            "servers_us_per_write_of_other": median(other, "servers_us"),
        },
    )
    return Report("writes", [ratio], runs)


async def _load(plan: Plan, locality: Locality, server: Process, servers: Servers) -> Figures:
    async with Client(f"127.0.0.1:{server.ready['port']}", CHANGE, locality.metadata()) as client:

        async def run(prefix: str, seconds: float) -> tuple[float, int]:
            loaded = await closed(
                client.call, lambda n: change_request(f"{prefix}-{n}"), seconds=seconds, in_flight=IN_FLIGHT
            )
            return loaded.rate, loaded.calls

        await run("warm", _WARM_UP_S)
        service, rest = server.cpu_s(), servers.cpu_s()
        rate, count = await run("change", plan.seconds)
        return {
            "writes_per_s": rate,
            "service_us": 1e6 * (server.cpu_s() - service) / count,
            "servers_us": 1e6 * (servers.cpu_s() - rest) / count,
        }
