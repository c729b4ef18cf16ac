"""Whatever is killed mid-load: what was acknowledged took effect once, in order, in both localities."""

from __future__ import annotations

import pytest

from mesh.stack import Stack
from tests.faults.campaign import Campaign

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

CHILDREN = ["da-nang.services", "hue.services", "mongod", "da-nang.nats", "hue.nats", "hub"]


@pytest.mark.parametrize("child", CHILDREN)
async def test_a_killed_child_loses_and_doubles_nothing(stack: Stack, child: str) -> None:
    """SIGKILL twice, each time with requests and events on their way."""
    campaign = Campaign(stack, f"kill-{child}".replace(".", "-"))

    async with campaign.load() as load:
        for _ in range(2):
            await load.acknowledged(100)
            await stack.child(child).kill()
            await stack.child(child).wait_ready()
        await load.acknowledged(100)

    verdict = await campaign.verdict()
    assert verdict.clean, str(verdict)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("child", CHILDREN)
async def test_a_child_killed_again_and_again_loses_and_doubles_nothing(stack: Stack, child: str) -> None:
    """SIGKILL ten times, also while it is just coming back; its supervisor waits up to 10 s before each restart."""
    campaign = Campaign(stack, f"often-{child}".replace(".", "-"))

    async with campaign.load(keys=64) as load:
        for number in range(10):
            await load.acknowledged(number * 20, within_s=120)
            await stack.child(child).kill()
            if number % 3:
                await stack.child(child).wait_ready()
        await stack.child(child).wait_ready()
        await load.acknowledged(500)

    verdict = await campaign.verdict(within_s=180)
    assert verdict.clean, str(verdict)


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_everything_killed_in_turn_loses_and_doubles_nothing(stack: Stack) -> None:
    """Each child three times, while others may still be coming back."""
    campaign = Campaign(stack, "all")

    async with campaign.load(keys=64) as load:
        for child in CHILDREN * 3:
            await load.acknowledged(100)
            await stack.child(child).kill()
        await load.acknowledged(500, within_s=120)

    verdict = await campaign.verdict(within_s=180)
    assert verdict.clean, str(verdict)
