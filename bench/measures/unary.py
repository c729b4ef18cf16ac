"""Unary `@rpc` without a store, against a bare `grpc.aio` server with the same message."""

from __future__ import annotations

from functools import partial

from bench.contract import ECHO, echo_request
from bench.figures import Figures, Plan, Ratio, Report, alternate, median
from bench.load import Client, closed
from bench.locality import BENCH, Locality
from bench.processes import Process
from bench.raw import trace_sink
from bench.servers import running

IN_FLIGHT = 64
THREADS = 16
_WARM_UP_S = 0.5


async def measure(plan: Plan) -> Report:
    """Calls per second in a closed loop, one client process, one server process."""
    locality = Locality(plan.folder)
    bare = partial(Process.start, "bench.raw.grpc_server", log=plan.folder / "bare.log")
    async with (
        running(plan.folder) as servers,
        trace_sink.running() as sink,
        bare() as on_loop,
        bare(threads=THREADS) as in_thread,
        Process.start("bench.raw.grpc_server_on_uvloop", log=plan.folder / "uvloop.log") as on_uvloop,
    ):

        async def ours(**settings: str) -> Figures:
            async with locality.host(servers.mongodb, servers.nats, [BENCH], **settings) as host:
                return await _load(plan, locality, host)

        runs = await alternate(
            plan,
            {
                "bare": lambda: _load(plan, locality, on_loop),
                "ours": ours,
                "bare with a thread hop": lambda: _load(plan, locality, in_thread),
                "ours traced": lambda: ours(otlp_endpoint=sink),
                "bare on uvloop": lambda: _load(plan, locality, on_uvloop),
            },
        )
    return Report("unary", _ratios(runs), runs)


async def _load(plan: Plan, locality: Locality, server: Process) -> Figures:
    request = echo_request("some-change")
    async with Client(f"127.0.0.1:{server.ready['port']}", ECHO, locality.metadata()) as client:
        await closed(client.call, lambda _: request, seconds=_WARM_UP_S, in_flight=IN_FLIGHT)
        before = server.cpu_s()
        loaded = await closed(client.call, lambda _: request, seconds=plan.seconds, in_flight=IN_FLIGHT)
        used = server.cpu_s() - before
    return {"calls_per_s": loaded.rate, "server_us_per_call": 1e6 * used / loaded.calls}


def _ratios(runs: dict[str, list[Figures]]) -> list[Ratio]:
    wanted: tuple[tuple[str, str, str, float | None], ...] = (
        ("unary call", "ours", "bare", 0.75),
        ("unary call, traced", "ours traced", "bare", 0.55),
        ("unary call, hop aside", "ours", "bare with a thread hop", 0.9),
        ("unary call", "ours", "bare on uvloop", None),
    )
    return [
        Ratio(
            measure,
            median(runs[ours], "calls_per_s"),
            median(runs[other], "calls_per_s"),
            "calls/s",
            f"grpc.aio, {other}",
            at_least=target,
            notes={
                "server_us_per_call": median(runs[ours], "server_us_per_call"),
                "server_us_per_call_of_other": median(runs[other], "server_us_per_call"),
            },
        )
        for measure, ours, other, target in wanted
    ]
