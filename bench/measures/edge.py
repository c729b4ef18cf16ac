"""Calls through Envoy against calls straight to the service behind it, and calls in JSON against gRPC."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from urllib.parse import urlsplit

import grpc
import psutil

from bench.figures import Figures, Plan, Ratio, Report, alternate, median, percentiles_ms
from bench.http_client import HttpClient
from bench.load import Client, closed
from bench.locality import ENVIRONMENT, GATEWAY
from lienthong.gateway.v1 import ListEventTypesRequest
from mesh.stack import Stack

LOCALITY = "da-nang"
METHOD = "/lienthong.gateway.v1.EventGateway/ListEventTypes"
IN_JSON = "/events/v1/types?pageSize=1"
REQUEST = ListEventTypesRequest(page_size=1).SerializeToString()
IN_FLIGHT = 64
UNLIMITED = {"LIENTHONG_EDGE__REQUESTS_PER_SECOND": "1000000", "LIENTHONG_EDGE__BURST": "1000000"}
"""The load is all of one subject, whose requests an edge would limit."""
_WARM_UP_S = 0.5


async def measure(plan: Plan) -> Report:
    """Calls per second with many in flight, latency with one; processor time of Envoy and of the service."""
    with _settings(UNLIMITED):
        async with Stack([LOCALITY], plan.folder / "data", services=[ENVIRONMENT, GATEWAY]) as stack:
            runs = await alternate(
                plan,
                {
                    "straight": lambda: _load(plan, stack, _straight(stack)),
                    "through Envoy": lambda: _load(plan, stack, _through_envoy(stack)),
                    "JSON": lambda: _load(plan, stack, _in_json(stack)),
                },
            )
    return Report("edge", _ratios(runs), runs)


def _straight(stack: Stack) -> Client:
    """As the operator, with the mutual TLS that Envoy has to the service too."""
    tls = stack.tls(LOCALITY)
    return Client(stack.grpc_address(LOCALITY), METHOD, _metadata(stack), tls.credentials(), tls.options())


def _through_envoy(stack: Stack) -> Client:
    """As an outsider, who knows the authority and has a token."""
    credentials = grpc.ssl_channel_credentials(stack.certificates.ca.read_bytes())
    return Client(f"localhost:{_port(stack)}", METHOD, _metadata(stack), credentials)


def _in_json(stack: Stack) -> HttpClient:
    return HttpClient(_port(stack), stack.certificates.ca, IN_JSON, _metadata(stack))


async def _load(plan: Plan, stack: Stack, caller: Client | HttpClient) -> Figures:
    async with caller as client:
        await closed(client.call, lambda _: REQUEST, seconds=_WARM_UP_S, in_flight=IN_FLIGHT)
        before = _cpu_s(stack)
        loaded = await closed(client.call, lambda _: REQUEST, seconds=plan.seconds, in_flight=IN_FLIGHT)
        used = {name: 1e6 * (now - before[name]) / loaded.calls for name, now in _cpu_s(stack).items()}
        latencies = await _latencies(client, plan.seconds / 2)
    return {
        "calls_per_s": loaded.rate,
        **{f"{name}_us_per_call": spent for name, spent in used.items()},
        "both_us_per_call": used["envoy"] + used["service"],
        "p50_ms": percentiles_ms(latencies)["p50_ms"],
    }


async def _latencies(client: Client | HttpClient, seconds: float) -> list[float]:
    """One call at a time: with many in flight the time of each is only the rate, said in another way."""
    found: list[float] = []
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        await client.call(REQUEST)
        found.append(time.perf_counter() - began)
    return found


def _ratios(runs: dict[str, list[Figures]]) -> list[Ratio]:
    envoy = partial(_compared, runs, ("through Envoy", "through Envoy"), ("straight", "straight to the service"))
    json = partial(_compared, runs, ("JSON", "JSON through Envoy"), ("through Envoy", "gRPC through Envoy"))
    return [
        ratio
        for compared, alone in ((envoy, "service"), (json, "envoy"))
        for ratio in (
            compared("", "calls_per_s", "calls/s"),
            compared(", p50", "p50_ms", "ms"),
            compared(", Envoy and service", "both_us_per_call", "µs/call"),
            compared(f", {'Envoy' if alone == 'envoy' else alone} alone", f"{alone}_us_per_call", "µs/call"),
        )
    ]


def _compared(
    runs: dict[str, list[Figures]], ours: tuple[str, str], other: tuple[str, str], what: str, figure: str, unit: str
) -> Ratio:
    """Both sides are named twice: as contestants, and for people."""
    notes = {"client_us_per_call": median(runs[ours[0]], "client_us_per_call")}
    notes["client_us_per_call_of_other"] = median(runs[other[0]], "client_us_per_call")
    values = median(runs[ours[0]], figure), median(runs[other[0]], figure)
    return Ratio(ours[1] + what, *values, unit, other[1], notes=notes)


def _metadata(stack: Stack) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {stack.token(LOCALITY)}"),)


def _port(stack: Stack) -> int:
    port = urlsplit(stack.edge_url(LOCALITY) or "").port
    assert port is not None
    return port


def _cpu_s(stack: Stack) -> dict[str, float]:
    """Processor seconds each has used; the client is this process."""
    pids = {"envoy": stack.child(f"{LOCALITY}.edge").pid, "service": stack.child(f"{LOCALITY}.services").pid}
    return {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in (pids | {"client": None}).items()}


@contextmanager
def _settings(settings: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
