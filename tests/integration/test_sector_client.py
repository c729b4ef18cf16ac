"""Calls from a handler to another sector, in one process and between two."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from mesh.breaker import State
from mesh.client import Client
from mesh.errors import Unavailable
from mesh.host import Host
from mesh.stack.ports import free_port
from tests.hosts import Home, eventually, record_request
from tests.trial.contract import ForwardingServiceStub, RecordResponse
from tests.trial.services import ForwardingService, TrialService


def _forward(home: Home, host: Host, request: Any, *, within_s: float = 20) -> Any:
    stub = ForwardingServiceStub(home.channel(host))
    metadata = [("authorization", f"Bearer {home.token('*')}")]
    return stub.Forward(request, metadata=metadata, timeout=within_s)


def _clients(host: Host) -> list[Client]:
    return list(host.neighbours._clients.values())


def _forwarding(after: Any) -> type[ForwardingService]:
    return type("ForwardingService", (ForwardingService,), {"after": staticmethod(after)})


async def test_a_handler_calls_a_service_of_its_own_process(home: Home) -> None:
    host = await home.start(TrialService, ForwardingService)

    answer: RecordResponse = await _forward(home, host, record_request("a", 7))

    assert answer.total == 7
    assert await home.trial(host).total("a") == 7


async def test_a_handler_calls_a_service_of_another_process(home: Home) -> None:
    trial = await home.start(TrialService)
    forwarding = await home.start(ForwardingService, services={"trial": f"127.0.0.1:{trial.port}"})

    answer = await _forward(home, forwarding, record_request("a", 7))

    assert answer.total == 7


async def test_the_calls_of_one_run_have_ids_of_their_own_and_the_same_when_asked_again(home: Home) -> None:
    host = await home.start(TrialService, ForwardingService)
    request = record_request("a", 7)

    await _forward(home, host, request)
    await _forward(home, host, request)

    assert await home.trial(host).total("a") == 7
    assert await home.trial(host).total("a-again") == 7
    assert len(list(home.database("trial")["requests"].find())) == 2


async def test_what_a_handler_asks_for_is_done_once_however_often_it_runs(home: Home) -> None:
    """The first runs fail after the other sector has done what it was asked; the event's id says it is the same."""
    failures = [Unavailable("the handler fails after its call"), Unavailable("and again")]

    def fail(_: Any) -> None:
        if failures:
            raise failures.pop()

    host = await home.start(TrialService, _forwarding(fail))
    await home.trial(host).record("a", 7, note="echo")

    # Two events are followed: the one that asks for an echo, and the echo.
    await eventually(lambda: home.database("forwarding")["effects"].count_documents({}) == 2)
    assert not failures
    assert await home.trial(host).total("a-echo") == 7


async def test_handlers_that_wait_for_each_other_leave_workers_to_answer_them(home: Home) -> None:
    """Were the workers all taken by handlers that wait, nobody could answer these before their deadline."""
    host = await home.start(TrialService, ForwardingService, runtime={"workers": 2})

    answers = await asyncio.gather(*(_forward(home, host, record_request(f"k{n}", 1)) for n in range(12)))

    assert [answer.total for answer in answers] == [1] * 12


async def test_a_sector_that_comes_back_in_time_is_only_a_delay(home: Home) -> None:
    """What failed for a while is tried again as long as the caller waits."""
    port = free_port()
    forwarding = await home.start(ForwardingService, services={"trial": f"127.0.0.1:{port}"}, call_deadline_s=0.5)
    asked = asyncio.ensure_future(_forward(home, forwarding, record_request("a", 7)))
    await eventually(lambda: any(client._breaker.state is State.OPEN for client in _clients(forwarding)))

    await home.start(TrialService, grpc_port=port)

    assert (await asked).total == 7


async def test_a_sector_that_stays_away_makes_the_call_unavailable(home: Home) -> None:
    forwarding = await home.start(
        ForwardingService, services={"trial": f"127.0.0.1:{free_port()}"}, call_deadline_s=0.3
    )

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await _forward(home, forwarding, record_request("a", 7), within_s=2)

    assert raised.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_a_sector_nobody_knows_makes_the_call_unavailable(home: Home) -> None:
    forwarding = await home.start(ForwardingService)

    with pytest.raises(grpc.aio.AioRpcError, match="no process of this node is known to run service trial"):
        await _forward(home, forwarding, record_request("a", 7), within_s=2)


async def test_an_error_of_the_other_sector_reaches_the_caller_with_its_code(home: Home) -> None:
    host = await home.start(TrialService, ForwardingService)

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await _forward(home, host, record_request("no key can have a blank", 7))

    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
