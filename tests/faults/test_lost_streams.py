"""A node loses its streams while its nats-server is down: all of them, or what was written last."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mesh.stack import Stack
from tests.faults.campaign import Campaign

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

NODES = pytest.mark.parametrize("locality", ["da-nang", "hue"])


@NODES
async def test_a_lost_store_is_filled_again(stack: Stack, locality: str) -> None:
    """Of the provider, or of the recipient; writes go on meanwhile."""
    campaign = Campaign(stack, f"lost-{locality}")
    nats = stack.child(f"{locality}.nats")

    async with campaign.load(deadline_s=30) as load:
        await load.acknowledged(150)
        await nats.stop()
        await load.acknowledged(50)
        shutil.rmtree(_store(stack, locality))
        await nats.start()
        await load.acknowledged(150)

    verdict = await campaign.verdict()
    assert verdict.clean, str(verdict)
    assert not campaign.ledger.failures


@NODES
async def test_a_lost_tail_is_filled_again(stack: Stack, locality: str, tmp_path: Path) -> None:
    """An older copy of the store is put back, as after a restored disk."""
    campaign = Campaign(stack, f"tail-{locality}")
    nats, store, copy = stack.child(f"{locality}.nats"), _store(stack, locality), tmp_path / "copy"

    async with campaign.load(deadline_s=30) as load:
        await load.acknowledged(100)
        await nats.stop()
        shutil.copytree(store, copy)
        await nats.start()
        await load.acknowledged(150)
        await nats.stop()
        await load.acknowledged(50)
        shutil.rmtree(store)
        copy.rename(store)
        await nats.start()
        await load.acknowledged(150)

    verdict = await campaign.verdict()
    assert verdict.clean, str(verdict)
    assert not campaign.ledger.failures


def _store(stack: Stack, locality: str) -> Path:
    assert stack.bus is not None
    return stack.bus.store(locality)
