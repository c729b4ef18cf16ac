"""What is killed mid-load."""

from __future__ import annotations

import pytest

from mesh.stack import Stack
from tests.faults.campaign import Campaign

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


async def test_services(stack: Stack) -> None:
    """A locality's process, again and again."""
    campaign = Campaign(stack, "services", origin="da-nang", entitled=stack.localities)

    async with campaign.load() as load:
        for _ in range(4):
            await load.acknowledged(100)
            await stack.child("da-nang.services").kill()
            await load.acknowledged(100)

    verdict = await campaign.verdict()
    print(verdict, load.ledger.failures)
    assert verdict.clean, verdict


async def test_mongod(stack: Stack) -> None:
    campaign = Campaign(stack, "mongod", origin="da-nang", entitled=stack.localities)

    async with campaign.load() as load:
        for _ in range(3):
            await load.acknowledged(100)
            await stack.child("mongod").kill()
            await load.acknowledged(100)

    verdict = await campaign.verdict()
    print(verdict, load.ledger.failures)
    assert verdict.clean, verdict


async def test_nats(stack: Stack) -> None:
    campaign = Campaign(stack, "nats", origin="da-nang", entitled=stack.localities)

    async with campaign.load() as load:
        for _ in range(3):
            await load.acknowledged(100)
            await stack.child("da-nang.nats").kill()
            await load.acknowledged(100)

    verdict = await campaign.verdict()
    print(verdict, load.ledger.failures)
    assert verdict.clean, verdict
