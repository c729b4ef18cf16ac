"""Calls to a real gRPC server on this machine, made to fail in every way."""

# gRPC gives methods their names.

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from opentelemetry import metrics as api_metrics
from opentelemetry import trace as api_trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lienthong.environment.v1 import (
    CloseHoursRequest,
    GetStationRequest,
    GetStationResponse,
    RegisterStationRequest,
    RegisterStationResponse,
    Station,
    StreamReadingsRequest,
    StreamReadingsResponse,
)
from lienthong.environment.v1.environment_service_pb2_grpc import (
    EnvironmentServiceServicer,
    add_EnvironmentServiceServicer_to_server,
)
from mesh import telemetry
from mesh.breaker import Breaker, State
from mesh.client import Client, methods_of
from mesh.errors import (
    Aborted,
    ContractError,
    DeadlineExceeded,
    InvalidArgument,
    MeshError,
    NotFound,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
    Violation,
)
from mesh.stack.ports import free_port

SERVICE = "lienthong.environment.v1.EnvironmentService"
Context = grpc.aio.ServicerContext[Any, Any]


class Environment(EnvironmentServiceServicer):
    """Answers with the errors it is given, then properly."""

    def __init__(self) -> None:
        self.errors: list[MeshError] = []
        self.calls: list[dict[str, str | bytes]] = []
        self.times: list[float] = []
        self.slow = asyncio.Event()
        self.slow.set()

    async def _answer(self, context: Context) -> None:
        self.calls.append(dict(context.invocation_metadata() or ()))  # type: ignore[arg-type]
        self.times.append(time.monotonic())
        await self.slow.wait()
        if self.errors:
            error = self.errors.pop(0)
            await context.abort(error.code, error.message, error.trailing_metadata())

    async def GetStation(self, request: GetStationRequest, context: Context) -> GetStationResponse:
        await self._answer(context)
        return GetStationResponse(station=Station(id=request.station_id))

    async def RegisterStation(self, request: RegisterStationRequest, context: Context) -> RegisterStationResponse:
        await self._answer(context)
        return RegisterStationResponse(station=request.station)

    async def StreamReadings(
        self, requests: AsyncIterator[StreamReadingsRequest], context: Context
    ) -> AsyncIterator[StreamReadingsResponse]:
        async for request in requests:
            await self._answer(context)
            yield StreamReadingsResponse(request_id=request.request_id)


@pytest.fixture
async def environment() -> Environment:
    return Environment()


@pytest.fixture
async def address(environment: Environment) -> AsyncIterator[str]:
    server = grpc.aio.server()
    add_EnvironmentServiceServicer_to_server(environment, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    environment.slow.set()
    await server.stop(None)


@pytest.fixture
async def client(address: str) -> AsyncIterator[Client]:
    async with Client(SERVICE, address, token=lambda: "abc", deadline_s=5) as client:
        yield client


GET = GetStationRequest(station_id="dn-01")
REGISTER = RegisterStationRequest(request_id="r-1", station=Station(id="dn-01"))


async def test_a_call_returns_the_response(client: Client) -> None:
    response = await client.call("GetStation", GET)

    assert response == GetStationResponse(station=Station(id="dn-01"))


async def test_the_token_travels_as_metadata(client: Client, environment: Environment) -> None:
    await client.call("GetStation", GET)

    assert environment.calls[0]["authorization"] == "Bearer abc"


async def test_an_error_arrives_with_its_details(client: Client, environment: Environment) -> None:
    environment.errors = [InvalidArgument([Violation("station.id", "pattern", "must match [A-Z]")])]

    with pytest.raises(InvalidArgument) as refused:
        await client.call("RegisterStation", REGISTER)

    assert refused.value.violations == (Violation("station.id", "pattern", "must match [A-Z]"),)
    assert len(environment.calls) == 1


@pytest.mark.parametrize("error", [Unavailable("x"), Aborted("x"), ResourceExhausted("x")], ids=lambda e: e.reason)
@pytest.mark.parametrize(("method", "request_"), [("GetStation", GET), ("RegisterStation", REGISTER)])
async def test_what_may_be_repeated_is_tried_again(
    client: Client, environment: Environment, error: MeshError, method: str, request_: Any
) -> None:
    """A read changes nothing, and a request id makes the second answer the first one."""
    environment.errors = [error, error]

    response = await client.call(method, request_)

    assert response.station.id == "dn-01"
    assert len(environment.calls) == 3


@pytest.mark.parametrize("request_id", ["", "r-1"])
async def test_a_write_without_request_id_is_made_once(
    client: Client, environment: Environment, request_id: str
) -> None:
    environment.errors = [Unavailable("x")]
    request = RegisterStationRequest(request_id=request_id, station=Station(id="dn-01"))

    with pytest.raises(Unavailable):
        await client.call("RegisterStation", request, repeatable=None if not request_id else False)

    assert len(environment.calls) == 1


async def test_a_deterministic_error_is_not_tried_again(client: Client, environment: Environment) -> None:
    environment.errors = [NotFound("station", "dn-01")]

    with pytest.raises(NotFound):
        await client.call("GetStation", GET)

    assert len(environment.calls) == 1


async def test_it_waits_as_long_as_the_server_asks(client: Client, environment: Environment) -> None:
    environment.errors = [ResourceExhausted("too fast", retry_after_s=0.4)]

    await client.call("GetStation", GET)

    first, second = environment.times
    assert second - first >= 0.4


async def test_it_does_not_wait_beyond_its_deadline(client: Client, environment: Environment) -> None:
    """The caller learns at once that the server wants more time than it has."""
    environment.errors = [ResourceExhausted("too fast", retry_after_s=60)]

    with pytest.raises(ResourceExhausted):
        await client.call("GetStation", GET, deadline_s=3)

    assert len(environment.calls) == 1


async def test_the_deadline_bounds_all_tries_together(client: Client, environment: Environment) -> None:
    """More errors than it could meet in the time, so only the deadline can end it."""
    environment.errors = [Unavailable("x")] * 1000

    with pytest.raises(Unavailable):
        await client.call("GetStation", GET, deadline_s=0.5)

    assert 1 < len(environment.calls) < 1000


async def test_a_server_that_hangs_is_left_at_the_deadline(client: Client, environment: Environment) -> None:
    environment.slow.clear()

    with pytest.raises(DeadlineExceeded):
        await client.call("GetStation", GET, deadline_s=0.2)


async def test_a_method_the_server_lacks_is_unimplemented(client: Client) -> None:
    with pytest.raises(Unimplemented):
        await client.call("CloseHours", CloseHoursRequest(request_id="r-1"))


async def test_a_peer_that_is_away_is_left_alone_and_found_again() -> None:
    address = f"127.0.0.1:{free_port()}"
    breaker = Breaker("peer", failures=2, pause_s=0.05)
    async with Client(SERVICE, address, breaker=breaker) as client:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await client.call("GetStation", GET, repeatable=False)
        with pytest.raises(Unavailable, match="not asked again yet"):
            await client.call("GetStation", GET, repeatable=False)

        server = grpc.aio.server()
        add_EnvironmentServiceServicer_to_server(Environment(), server)
        server.add_insecure_port(address)
        await server.start()
        response = await client.call("GetStation", GET, deadline_s=10)
        await server.stop(None)

    assert response.station.id == "dn-01"
    assert breaker.state is State.CLOSED


async def test_a_thread_may_call_too(client: Client) -> None:
    """Handlers run in threads, the client on the loop."""
    response = await asyncio.to_thread(client.call_from_thread, "GetStation", GET)

    assert response.station.id == "dn-01"


async def requests(*ids: str) -> AsyncIterator[StreamReadingsRequest]:
    for id in ids:
        yield StreamReadingsRequest(request_id=id)


async def test_a_stream_yields_each_answer(client: Client) -> None:
    answers = [answer.request_id async for answer in client.stream("StreamReadings", requests("a", "b"))]

    assert answers == ["a", "b"]


async def test_a_stream_that_breaks_has_yielded_what_came_before(client: Client, environment: Environment) -> None:
    """What was answered is durable; the client repeats the rest."""
    answered = asyncio.Event()

    async def sent() -> AsyncIterator[StreamReadingsRequest]:
        yield StreamReadingsRequest(request_id="a")
        await answered.wait()
        environment.errors = [Unavailable("x")]
        yield StreamReadingsRequest(request_id="b")

    stream = client.stream("StreamReadings", sent())
    first = await anext(stream)
    answered.set()

    assert first.request_id == "a"
    with pytest.raises(Unavailable):
        await anext(stream)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda client: client.call("GetWeather", GET), "has no method GetWeather; it has RegisterStation, GetStation"),
        (lambda client: client.call("StreamReadings", GET), "use `stream`"),
        (lambda client: anext(client.stream("GetStation", GET)), "use `call`"),
    ],
)
async def test_a_call_the_contract_does_not_have_says_so(
    client: Client, use: Callable[[Client], Awaitable[Any]], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        await use(client)


def test_an_unknown_service_is_named() -> None:
    with pytest.raises(ContractError, match=r"lienthong\.weather\.v1\.WeatherService"):
        methods_of("lienthong.weather.v1.WeatherService")


async def test_the_server_sees_the_span_of_the_call(client: Client, environment: Environment) -> None:
    """So what it does becomes part of the same trace."""
    exporter = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry.use(tracers, api_metrics.NoOpMeterProvider(), locality="hue")

    await client.call("GetStation", GET)

    telemetry.use(api_trace.NoOpTracerProvider(), api_metrics.NoOpMeterProvider(), locality="")
    [span] = exporter.get_finished_spans()
    context = span.get_span_context()
    assert context is not None
    assert span.name == f"{SERVICE}/GetStation"
    assert environment.calls[0]["traceparent"].startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")
