"""A locality's key is rotated while it is called: nobody notices."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from mesh.auth import TokenSource
from tests.hosts import Home, eventually, record_request
from tests.trial.contract import ForwardingServiceStub, TrialServiceStub
from tests.trial.services import ForwardingService, TrialService

ROTATIONS = 3


async def call_until(done: asyncio.Event, call: Any, tokens: TokenSource) -> int:
    """Calls with what token there is at the moment; any refusal fails the test."""
    count = 0
    while not done.is_set():
        await call(record_request("a", 1), metadata=[("authorization", f"Bearer {tokens()}")], timeout=20)
        count += 1
    return count


async def test_no_call_fails_while_the_key_is_rotated(home: Home) -> None:
    """Neither with a token of before, nor with one of the new key, nor when services call each other."""
    trial = await home.start(TrialService)
    forwarding = await home.start(ForwardingService, services={"trial": f"127.0.0.1:{trial.port}"})
    tokens = TokenSource(
        home.keys.signing(home.locality), issuer=home.locality, subject="load", scopes=["*"], audience=home.locality
    )
    old, done = tokens(), asyncio.Event()
    calls = [TrialServiceStub(home.channel(trial)).Record, ForwardingServiceStub(home.channel(forwarding)).Forward]

    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(call_until(done, call, tokens)) for call in calls]
        for number in range(1, ROTATIONS + 1):
            before = tokens()
            home.keys.rotate(home.locality)
            await eventually(lambda before=before: tokens() != before)
            assert (await home.trial(trial, token=old).record("b")).total == number
        done.set()

    assert all(caller.result() > ROTATIONS for caller in callers)


async def test_a_key_that_was_ended_opens_nothing_within_a_second(home: Home) -> None:
    host = await home.start(TrialService)
    stolen = home.trial(host, token=home.token("*"))
    await stolen.record("a")

    home.keys.rotate(home.locality, at_once=True)

    async def refused() -> bool:
        try:
            await stolen.record("a")
        except grpc.aio.AioRpcError as refusal:
            return refusal.code() is grpc.StatusCode.UNAUTHENTICATED
        return False

    await eventually(refused, within_s=3)
    assert (await home.trial(host).record("b")).total == 1
