"""Two processes of one service at the same time, and one request twice at the same time."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from mesh.stack import Stack
from tests.faults.campaign import Campaign
from tests.faults.load import Connection, TrialAt
from tests.faults.trial_mesh import Twin
from tests.trial.contract import RecordRequest

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

PAIRS = 300
AT_ONCE = 50


async def test_two_processes_apply_everything_once(stack: Stack) -> None:
    """A second process is started under load and killed; one more is started, and the first is killed beside it."""
    campaign = Campaign(stack, "twins")
    services = stack.child("da-nang.services")

    async with Twin(stack, "da-nang") as twin, campaign.load(twin.place) as load:
        await load.acknowledged(150)
        await twin.child.kill()
        await load.acknowledged(100)
        await twin.child.wait_ready()
        await load.acknowledged(100)
        await services.kill()
        await load.acknowledged(100)
        await services.wait_ready()

    verdict = await campaign.verdict()
    assert verdict.clean, str(verdict)


async def test_two_processes_started_at_once_apply_everything_once(stack: Stack) -> None:
    """Both find what a killed one left, and both want all of it."""
    campaign = Campaign(stack, "at-once")
    services, twin = stack.child("da-nang.services"), Twin(stack, "da-nang")

    async with campaign.load(twin.place) as load, twin.stopped_at_the_end():
        await load.acknowledged(100)
        await services.kill(restart=False)
        await asyncio.gather(services.start(), twin.child.start())
        await load.acknowledged(150)
        await twin.child.kill(restart=False)
        await load.acknowledged(100)

    verdict = await campaign.verdict()
    assert verdict.clean, str(verdict)


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_request_from_two_connections_at_once_takes_effect_once(stack: Stack, processes: int) -> None:
    """Hundreds of pairs, under load, at one process and at two: both get the same answer, and there is one effect."""
    campaign = Campaign(stack, f"pairs-{processes}")
    requests = [_request(f"{campaign.name}-x{number % 7}", number + 1) for number in range(PAIRS)]

    async with Twin(stack, "da-nang") as twin, campaign.load(rate=50):
        places = [campaign.place(), campaign.place() if processes == 1 else twin.place]
        for first in range(0, PAIRS, AT_ONCE):
            some = requests[first : first + AT_ONCE]
            await asyncio.gather(*(_record_all(campaign, place, some) for place in places))

    verdict = await campaign.verdict()
    assert verdict.clean, str(verdict)


def _request(key: str, amount: int) -> RecordRequest:
    return RecordRequest(request_id=uuid.uuid4().hex, key=key, amount=amount)


async def _record_all(campaign: Campaign, place: TrialAt, requests: list[RecordRequest]) -> None:
    async with Connection([place], 0) as connection:
        answers = await asyncio.gather(
            *(
                connection.stub.Record(campaign.ledger.ask(request), metadata=connection.metadata, timeout=20)
                for request in requests
            )
        )
    for answer in answers:
        campaign.ledger.answer(answer.request_id, answer.total)
