"""The client against a gateway that fails in every way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from lienthong.client import AsyncClient, Client, Delivery, patience, service_config
from lienthong.environment.v1 import AirQualityAlertRaised, GetStationRequest, RegisterStationRequest
from lienthong.environment.v1.environment_service_pb2_grpc import EnvironmentServiceStub
from lienthong.gateway.v1 import CloudEvent, SubscribeRequest
from tests.unit.client.gateway import Gateway

Code = grpc.StatusCode


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    gateway = Gateway(tmp_path)
    await gateway.start()
    yield gateway
    await gateway.stop()


async def received(gateway: Gateway, *, token="t", **options) -> list[str]:
    """Keys delivered until the gateway says that there is no more."""
    keys: list[str] = []
    async with AsyncClient(gateway.address, token=token, ca=gateway.ca) as client:
        deliveries = client.subscribe(AirQualityAlertRaised, **options)
        with pytest.raises(grpc.RpcError) as ended:  # noqa: PT012
            while True:
                keys.append((await anext(deliveries)).key)
    assert ended.value.code() == Code.OUT_OF_RANGE
    return keys


def received_blocking(gateway: Gateway) -> list[str]:
    with Client(gateway.address, token="t", ca=gateway.ca) as client:
        deliveries = client.subscribe(AirQualityAlertRaised)
        return [next(deliveries).key for _ in range(gateway.last)]


ALL = [f"s{number}" for number in range(1, 11)]
BREAKS = {1: Code.UNAVAILABLE, 4: Code.RESOURCE_EXHAUSTED, 5: None, 9: Code.UNAUTHENTICATED, 10: Code.INTERNAL}


async def test_a_subscription_goes_on_after_every_break_and_neither_loses_nor_repeats(gateway):
    gateway.breaks = dict(BREAKS)

    assert await received(gateway) == ALL

    assert [request.after_cursor for request in gateway.subscribed] == ["", "0", "3", "4", "8", "9"]


async def test_so_does_a_blocking_one(gateway):
    gateway.breaks = dict(BREAKS)

    assert await asyncio.to_thread(received_blocking, gateway) == ALL


async def test_a_gateway_that_is_away_for_a_while_is_waited_for(gateway):
    keys: list[str] = []
    async with AsyncClient(gateway.address, token="t", ca=gateway.ca) as client:
        deliveries = client.subscribe(AirQualityAlertRaised)
        gateway.last = 100_000
        keys += [(await anext(deliveries)).key for _ in range(2)]

        await gateway.stop()
        await gateway.start()

        while len(gateway.subscribed) < 2:
            keys.append((await anext(deliveries)).key)
        keys.append((await anext(deliveries)).key)
    assert keys == [f"s{number}" for number in range(1, len(keys) + 1)]


async def test_what_is_wanted_is_asked_for(gateway):
    await received(gateway, origin="hue", key=["a", "b"], fields=["location"], after="7")

    wanted = SubscribeRequest(
        types=["lienthong.environment.v1.AirQualityAlertRaised"], origins=["hue"], keys=["a", "b"], after_cursor="7"
    )
    wanted.fields.paths.append("location")
    assert gateway.subscribed == [wanted]


async def test_a_time_to_begin_at_gives_way_to_the_first_cursor(gateway):
    gateway.breaks = {1: Code.UNAVAILABLE}

    await received(gateway, since=datetime(2026, 11, 1, tzinfo=UTC))

    first, second = gateway.subscribed
    assert first.start_time.ToDatetime(tzinfo=UTC) == datetime(2026, 11, 1, tzinfo=UTC)
    assert (second.WhichOneof("start"), second.after_cursor) == ("after_cursor", "0")


@pytest.mark.parametrize("since", [datetime(2026, 11, 1), datetime(2026, 11, 1, tzinfo=UTC)])  # noqa: DTZ001
async def test_a_time_without_a_zone_or_beside_a_cursor_is_refused(gateway, since):
    async with AsyncClient(gateway.address, token="t", ca=gateway.ca) as client:
        with pytest.raises(ValueError, match="since"):
            await anext(client.subscribe(since=since, after="" if since.tzinfo is None else "7"))


@pytest.mark.parametrize("code", [Code.PERMISSION_DENIED, Code.INVALID_ARGUMENT, Code.UNAUTHENTICATED, Code.INTERNAL])
async def test_what_waiting_does_not_mend_is_raised(gateway, code):
    gateway.refuse = lambda token: code

    async with AsyncClient(gateway.address, token="t", ca=gateway.ca) as client:
        with pytest.raises(grpc.RpcError) as refused:
            await anext(client.subscribe(AirQualityAlertRaised))

    assert refused.value.code() == code


async def test_an_expired_token_is_replaced_by_the_next(gateway):
    tokens = iter(["old", "new", "new"])
    gateway.breaks = {3: Code.UNAUTHENTICATED}
    gateway.refuse = lambda token: Code.UNAUTHENTICATED if token == "Bearer old" and gateway.tries > 1 else None

    assert await received(gateway, token=lambda: next(tokens)) == ALL

    assert gateway.tokens == ["Bearer old", "Bearer new"]


async def test_a_delivery_tells_where_it_comes_from_and_what_is_missing(gateway):
    async with AsyncClient(gateway.address, token="t", ca=gateway.ca) as client:
        delivery = await anext(client.subscribe(AirQualityAlertRaised))

    assert delivery.event == AirQualityAlertRaised(station_id="s1")
    assert (delivery.origin, delivery.key, delivery.cursor) == ("da-nang", "s1", "1")
    assert delivery.type == "lienthong.environment.v1.AirQualityAlertRaised"
    assert delivery.time == datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
    assert delivery.withheld == ("location", "index")


def test_nothing_withheld_is_an_empty_list():
    assert Delivery(AirQualityAlertRaised(), "", CloudEvent()).withheld == ()


async def test_reads_and_writes_are_tried_again(gateway):
    """Every write of a public contract carries a `request_id`."""
    gateway.refuse = lambda token: Code.UNAVAILABLE if gateway.tries % 3 else None

    async with AsyncClient(gateway.address, token="t", ca=gateway.ca) as client:
        environment = client.stub(EnvironmentServiceStub)
        await environment.GetStation(GetStationRequest())
        await environment.RegisterStation(RegisterStationRequest(request_id="r"))

    assert gateway.tries == 6


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients of this test wait milliseconds where others wait seconds."""
    monkeypatch.setitem(service_config._RETRY, "maxBackoff", "0.01s")
    monkeypatch.setattr(patience, "_PAUSE_S", (0.005, 0.015))


AWAY = pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED])


@AWAY
async def test_the_deadline_says_how_long_not_how_often(gateway, hurried, code):
    """gRPC makes five tries. A deadline that passed behind the gateway is not the caller's."""
    gateway.refuse = lambda token: code if gateway.tries < 17 else None

    async with AsyncClient(gateway.address, token="t", ca=gateway.ca) as client:
        await client.stub(EnvironmentServiceStub).GetStation(GetStationRequest())

    assert gateway.tries == 17


@AWAY
async def test_nor_for_a_call_that_blocks(gateway, hurried, code):
    gateway.refuse = lambda token: code if gateway.tries < 17 else None

    def call() -> None:
        with Client(gateway.address, token="t", ca=gateway.ca) as client:
            client.stub(EnvironmentServiceStub).GetStation(GetStationRequest())

    await asyncio.to_thread(call)
    assert gateway.tries == 17


async def test_a_future_does_not_block_its_maker_and_gets_the_tries_grpc_makes(gateway, hurried):
    gateway.refuse = lambda token: Code.UNAVAILABLE

    def call() -> grpc.StatusCode:
        with Client(gateway.address, token="t", ca=gateway.ca) as client:
            return client.stub(EnvironmentServiceStub).GetStation.future(GetStationRequest()).code()

    assert await asyncio.to_thread(call) == Code.UNAVAILABLE
    assert gateway.tries == 5


@pytest.mark.parametrize("own_s", [0.5, 30])
async def test_the_shorter_of_two_deadlines_counts(gateway, hurried, own_s):
    """That of the call, or that of the client."""
    gateway.refuse = lambda token: Code.UNAVAILABLE
    began = time.monotonic()

    async with AsyncClient(gateway.address, token="t", ca=gateway.ca, deadline_s=1) as client:
        with pytest.raises(grpc.RpcError) as away:
            await client.stub(EnvironmentServiceStub).GetStation(GetStationRequest(), timeout=own_s)

    assert away.value.code() in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
    assert min(own_s, 1) - 0.1 < time.monotonic() - began < min(own_s, 1) + 1
    assert gateway.tries > 5


async def test_what_others_bring_about_is_left_to_grpc(gateway, hurried):
    """Too many requests, a conflict: who goes on then makes it worse."""
    gateway.refuse = lambda token: Code.RESOURCE_EXHAUSTED

    async with AsyncClient(gateway.address, token="t", ca=gateway.ca) as client:
        with pytest.raises(grpc.RpcError, match="told to"):
            await client.stub(EnvironmentServiceStub).GetStation(GetStationRequest())

    assert gateway.tries == 5


async def test_who_gives_up_takes_the_call_back(gateway):
    """Also while it is under way."""
    held = asyncio.Event()
    gone = asyncio.Event()

    async def hold(context) -> None:
        held.set()
        context.add_done_callback(lambda _: gone.set())
        await asyncio.sleep(30)

    gateway.before = hold
    async with AsyncClient(gateway.address, token="t", ca=gateway.ca) as client:
        call = asyncio.ensure_future(client.stub(EnvironmentServiceStub).GetStation(GetStationRequest()))
        await held.wait()
        call.cancel()
        await asyncio.wait_for(gone.wait(), 5)


async def test_a_refusal_is_not_tried_again(gateway):
    gateway.refuse = lambda token: Code.NOT_FOUND

    async with AsyncClient(gateway.address, token="t", ca=gateway.ca) as client:
        with pytest.raises(grpc.RpcError, match="told to"):
            await client.stub(EnvironmentServiceStub).GetStation(GetStationRequest())

    assert gateway.tries == 1


async def test_a_call_ends_at_its_deadline(gateway):
    await gateway.stop()

    async with AsyncClient(gateway.address, token="t", ca=gateway.ca, deadline_s=0.3) as client:
        with pytest.raises(grpc.RpcError) as late:
            await client.stub(EnvironmentServiceStub).GetStation(GetStationRequest())

    assert late.value.code() == Code.DEADLINE_EXCEEDED


async def test_a_gateway_nobody_vouches_for_is_not_called(gateway):
    async with AsyncClient(gateway.address, token="t", deadline_s=1) as client:
        with pytest.raises(grpc.RpcError):
            await client.stub(EnvironmentServiceStub).GetStation(GetStationRequest())

    assert gateway.tokens == []


@pytest.mark.parametrize("address", ["localhost:8443", "http://localhost:8443", "https://", "https://a.example/path"])
def test_an_address_that_would_send_the_token_in_the_clear_or_nowhere_is_refused(address):
    with pytest.raises(ValueError, match="expected one like https"):
        Client(address, token="t")
