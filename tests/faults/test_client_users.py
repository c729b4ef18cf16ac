"""Whatever happens to a locality: users of `lienthong.client` outside notice that something took longer, no more."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from pymongo import AsyncMongoClient

from mesh.auth import TokenSource
from mesh.container import database_name
from mesh.stack import Stack
from mesh.stack.keys import Keys
from tests.faults.users import WRITERS, Tokens, Users

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

HUE = "hue"
SERVICES = ("services.environment.service:EnvironmentService", "gateway.events.service:EventGateway")
SCOPES = ("environment.read", "environment.write", "events.read")

Fault = Callable[[Stack], Awaitable[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Hue with its environment sector, its event gateway and its edge."""
    async with Stack([HUE], tmp_path_factory.mktemp("hue"), services=SERVICES) as stack:
        yield stack


async def kill_envoy(stack: Stack) -> None:
    """All connections of all users end in the middle of whatever they carry."""
    await stack.child(f"{HUE}.edge").kill()
    await stack.child(f"{HUE}.edge").wait_ready()


async def kill_services(stack: Stack) -> None:
    """The event gateway is one of them: Envoy stays, and has nobody to pass calls on to."""
    await stack.child(f"{HUE}.services").kill()
    await stack.child(f"{HUE}.services").wait_ready()


async def keep_services_away(stack: Stack, refused: int = 1) -> None:
    """For longer than the edge tries: it tells writers so, and only their clients go on trying."""
    services, before = stack.child(f"{HUE}.services"), refusals(stack)
    await services.kill(restart=False)
    async with asyncio.timeout(55):
        while refusals(stack) < before + refused * WRITERS:
            await asyncio.sleep(0.1)
    await services.start()


async def keep_services_away_for_longer(stack: Stack) -> None:
    """Than gRPC tries, which is five times: only the deadlines of the calls have not passed."""
    began = asyncio.get_running_loop().time()
    await keep_services_away(stack, refused=7)
    assert asyncio.get_running_loop().time() - began > 20


async def rotate_keys(stack: Stack) -> None:
    """As `lienthong keys rotate` does it."""
    await asyncio.to_thread(Keys(stack.data / "keys").rotate, HUE, lead_s=1.0)


async def renew_certificates(stack: Stack) -> None:
    """Those of outsiders' connections, and those of the connections behind them."""
    await asyncio.to_thread(stack.certificates.renew)


TWICE_EACH = [[fault] * 2 for fault in (kill_envoy, kill_services, rotate_keys, renew_certificates)]


ONCE_EACH = [[keep_services_away], [keep_services_away_for_longer]]


@pytest.mark.parametrize("faults", [*TWICE_EACH, *ONCE_EACH], ids=lambda faults: faults[0].__name__)
async def test_users_notice_nothing_but_that_it_took_longer(stack: Stack, faults: list[Fault]) -> None:
    """No call fails; what was acknowledged is there, once; subscribers hear what the log has, in its order."""
    async with new_users(stack, faults[0].__name__, signer(stack)) as users:
        for fault in faults:
            await users.acknowledged(5)
            await fault(stack)
        await users.acknowledged(5)

        await nothing_is_missing_or_twice(stack, users)


async def test_tokens_that_live_for_seconds_are_not_noticed_either(stack: Stack) -> None:
    """A subscription outlives its token: it goes on with the next one."""
    asked: Counter[str] = Counter()

    async with new_users(stack, "expiry", signer(stack, timedelta(seconds=3), asked)) as users:
        subscribed = [f"subscriber-{station}" for station in users.stations]
        await users.until(lambda: all(asked[name] >= 3 for name in subscribed))

        await nothing_is_missing_or_twice(stack, users)


async def nothing_is_missing_or_twice(stack: Stack, users: Users) -> None:
    """Compares what users know with what the service has."""
    await users.written()
    for writer in users.writers:
        assert await writer.hours() == [(hour, 1, 1) for hour in writer.recorded]
    logged = await logged_ids(stack, users.stations)
    await users.have_heard(len(logged))
    for subscriber in users.subscribers:
        assert subscriber.ids == logged
        assert all(subscriber.hours(writer.station) == writer.recorded for writer in users.writers)


def new_users(stack: Stack, name: str, tokens: Tokens) -> Users:
    address = stack.edge_url(HUE)
    assert address is not None
    return Users(name, address, stack.certificates.ca, tokens)


def signer(stack: Stack, ttl: timedelta = timedelta(seconds=20), asked: Counter[str] | None = None) -> Tokens:
    """Tokens of whatever key Hue signs with at the moment, kept for two thirds of their lives."""

    def of(user: str) -> Callable[[], str]:
        key = Keys(stack.data / "keys").signing(HUE)
        source = TokenSource(key, issuer=HUE, subject=user, scopes=SCOPES, audience=HUE, ttl=ttl)

        def token() -> str:
            if asked is not None:
                asked[user] += 1
            return source()

        return token

    return of


def refusals(stack: Stack) -> int:
    """Calls of writers of which the edge has said, so far, that the service does not answer."""
    lines = stack.child(f"{HUE}.edge").log.read_text().splitlines()
    return sum("EnvironmentService/" in line and '"grpc_status_at_once":"14"' in line for line in lines)


async def logged_ids(stack: Stack, stations: list[str]) -> list[str]:
    """`ce-id` of the events about stations, in the order of the service's log."""
    async with AsyncMongoClient[dict[str, Any]](stack.mongodb_uri) as mongodb:
        log = mongodb[database_name(HUE, "environment")]["log"]
        found = log.find({"headers.ce-subject": {"$in": stations}}).sort("_id")
        return [entry["headers"]["ce-id"] async for entry in found]
