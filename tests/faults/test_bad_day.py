"""Faults of every kind, drawn at random, one after the other and while others last."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
from collections.abc import Awaitable, Callable

import pytest

from mesh.stack import Stack
from tests.faults.campaign import Campaign
from tests.faults.load import Load
from tests.faults.trial_mesh import Twin

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.soak, pytest.mark.timeout(1200)]

LOCALITIES = ["da-nang", "hue"]
CHILDREN = ["da-nang.services", "hue.services", "mongod", "da-nang.nats", "hue.nats", "hub"]
FAULTS = 40
PAUSE_S = 7
"""Longer than `runtime.member_ttl_s`: others take over meanwhile."""


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_bad_day_loses_and_doubles_nothing(stack: Stack, seed: int) -> None:
    """Kills, pauses, cuts, lost stores; a second process of the provider's services comes and goes with them."""
    draw = random.Random(seed)
    campaign, twin = Campaign(stack, f"day-{seed}"), Twin(stack, "da-nang")

    async with twin, campaign.load(twin.place, keys=48, rate=120) as load:
        for _ in range(FAULTS):
            await load.acknowledged(draw.choice([10, 40, 80]))
            await draw.choice([_kill, _kill, _pause, _cut, _lose_store, _kill_twin])(stack, twin, load, draw)
        for child in stack.children.values():
            await child.wait_ready()
        await load.acknowledged(300)

    verdict = await campaign.verdict(within_s=240)
    assert verdict.clean, str(verdict)


Fault = Callable[[Stack, Twin, Load, random.Random], Awaitable[None]]


async def _kill(stack: Stack, twin: Twin, load: Load, draw: random.Random) -> None:
    await stack.child(draw.choice(CHILDREN)).kill()


async def _kill_twin(stack: Stack, twin: Twin, load: Load, draw: random.Random) -> None:
    await twin.child.kill()


async def _pause(stack: Stack, twin: Twin, load: Load, draw: random.Random) -> None:
    """A process that stands still for a while, and believes afterwards that nothing has happened."""
    child = draw.choice([stack.child("da-nang.services"), stack.child("hue.services"), twin.child])
    await child.wait_ready()
    child.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(PAUSE_S)
    finally:
        child.signal(signal.SIGCONT)


async def _cut(stack: Stack, twin: Twin, load: Load, draw: random.Random) -> None:
    locality = draw.choice(LOCALITIES)
    await stack.child("hub").wait_ready()
    await stack.cut_leaf(locality)
    await load.acknowledged(50)
    await stack.rejoin(locality)


async def _lose_store(stack: Stack, twin: Twin, load: Load, draw: random.Random) -> None:
    locality = draw.choice(LOCALITIES)
    nats = stack.child(f"{locality}.nats")
    await nats.stop()
    assert stack.bus is not None
    shutil.rmtree(stack.bus.store(locality), ignore_errors=True)
    await nats.start()
