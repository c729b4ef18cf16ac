"""Whatever is killed mid-stream: subscribers that resume are sent what the log has, in its order, once."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo import AsyncMongoClient

from mesh.container import database_name
from mesh.stack import Stack
from tests.faults.audience import Audience
from tests.faults.campaign import Campaign
from tests.faults.load import TrialAt

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

HERE, THERE = "da-nang", "hue"
CHILDREN = ["da-nang.services", "da-nang.nats", "mongod"]


@pytest.mark.parametrize("child", CHILDREN)
async def test_subscribers_miss_nothing_and_see_nothing_twice(stack: Stack, child: str) -> None:
    """SIGKILL twice, with events on their way; the gateway runs in the killed process, or reads from it."""
    campaign = Campaign(stack, f"outside-{child}".replace(".", "-"))
    load = campaign.load(rate=100)
    async with Audience(campaign.place(), load.keys) as audience:
        async with load:
            for _ in range(2):
                await load.acknowledged(60)
                await stack.child(child).kill()
                await stack.child(child).wait_ready()
            await load.acknowledged(60)
        logged = await logged_ids(stack, HERE, "trial", load.keys)
        await audience.has_heard(len(logged))

    for listener in audience.listeners:
        assert listener.ids == logged


async def test_subscribers_in_another_locality_miss_nothing_either(stack: Stack) -> None:
    """What an agreement brings is read from the exchange's log there; its process is killed."""
    campaign = Campaign(stack, "outside-there")
    load = campaign.load(rate=100)
    place = TrialAt(stack.grpc_address(THERE), stack.token(THERE), stack.tls(THERE))
    async with Audience(place, load.keys) as audience:
        async with load:
            await load.acknowledged(60)
            await stack.child(f"{THERE}.services").kill()
            await stack.child(f"{THERE}.services").wait_ready()
            await load.acknowledged(60)
        born = await logged_ids(stack, HERE, "trial", load.keys)
        await audience.has_heard(len(born))
        logged = await logged_ids(stack, THERE, "exchange", load.keys)

    assert sorted(logged) == sorted(born)
    for listener in audience.listeners:
        assert listener.ids == logged


async def logged_ids(stack: Stack, locality: str, service: str, keys: list[str]) -> list[str]:
    """`ce-id` of the events of some keys, in the order of a service's log."""
    async with AsyncMongoClient[dict[str, Any]](stack.mongodb_uri) as mongodb:
        log = mongodb[database_name(locality, service)]["log"]
        found = log.find({"headers.ce-subject": {"$in": keys}}).sort("_id")
        return [entry["headers"]["ce-id"] async for entry in found]
