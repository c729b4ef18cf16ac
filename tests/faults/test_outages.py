"""What is away for a while: MongoDB, and the link between two localities."""

from __future__ import annotations

import asyncio

import pytest

from mesh.stack import Stack
from tests.faults.campaign import Campaign, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@pytest.mark.parametrize("seconds", [8, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(300)])])
async def test_writes_wait_for_mongodb_or_are_told_that_it_is_away(stack: Stack, seconds: float) -> None:
    """Nobody is told anything else, nothing becomes a dead letter, and what was acknowledged took effect once."""
    campaign = Campaign(stack, f"outage-{seconds}")

    async with campaign.load(deadline_s=3) as load:
        await load.acknowledged(100)
        await stack.child("mongod").kill(restart=False)
        await asyncio.gather(load.failed(1, within_s=15), asyncio.sleep(seconds))
        await stack.child("mongod").start()
        await load.acknowledged(100)

    verdict = await campaign.verdict()
    assert verdict.clean, str(verdict)
    assert set(campaign.ledger.failures) <= {"UNAVAILABLE", "DEADLINE_EXCEEDED"}


async def test_a_process_that_starts_without_mongodb_waits_for_it(stack: Stack) -> None:
    """It does not end and has to be started again; what is asked meanwhile is answered afterwards."""
    campaign, services = Campaign(stack, "waits"), stack.child("da-nang.services")

    async with campaign.load() as load:
        await load.acknowledged(50)
        await stack.child("mongod").kill(restart=False)
        starts = services.starts
        await services.kill()
        await until(lambda: _says(stack, "waiting for MongoDB"), 30, lambda: "it does not wait")
        await stack.child("mongod").start()
        await load.acknowledged(50)

    verdict = await campaign.verdict()
    assert verdict.clean, str(verdict)
    assert services.starts == starts + 1


async def _says(stack: Stack, what: str) -> bool:
    return what in (stack.data / "logs" / "da-nang.services.log").read_text()


@pytest.mark.parametrize("locality", ["da-nang", "hue"])
async def test_a_link_that_was_cut_brings_what_it_owes(stack: Stack, locality: str) -> None:
    """Writes go on while the provider, or the recipient, is cut off; after it all has arrived once, in order."""
    campaign = Campaign(stack, f"cut-{locality}")

    async with campaign.load(deadline_s=30) as load:
        await load.acknowledged(100)
        await stack.cut_leaf(locality)
        await load.acknowledged(300)
        await stack.rejoin(locality)
        await load.acknowledged(100)

    verdict = await campaign.verdict()
    assert verdict.clean, str(verdict)
    assert not campaign.ledger.failures


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_a_link_that_comes_and_goes_brings_what_it_owes(stack: Stack) -> None:
    """Ten cuts, at one end and the other."""
    campaign = Campaign(stack, "cuts")

    async with campaign.load(keys=64) as load:
        for locality in ["da-nang", "hue"] * 5:
            await load.acknowledged(200)
            await stack.cut_leaf(locality)
            await load.acknowledged(200)
            await stack.rejoin(locality)

    verdict = await campaign.verdict(within_s=180)
    assert verdict.clean, str(verdict)
