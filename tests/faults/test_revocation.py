"""A revocation during traffic."""

from __future__ import annotations

import pytest

from mesh.events import partition_of
from mesh.stack import Stack
from tests.faults.campaign import Campaign
from tests.faults.judge import Seen
from tests.faults.load import Ledger
from tests.faults.trial_mesh import apply_agreement, revoke_agreement
from tests.hosts import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

PROVIDER, RECIPIENT = "hue", "da-nang"


@pytest.mark.parametrize("first", [PROVIDER, RECIPIENT])
async def test_nothing_after_a_revocation_crosses(stack: Stack, first: str) -> None:
    """Whichever party revokes first: what crossed is the beginning of each line, up to one point before the end."""
    agreement, second = f"{first}-ends", PROVIDER if first == RECIPIENT else RECIPIENT
    campaign = Campaign(stack, f"revoked-{first}", origin=PROVIDER, entitled=[PROVIDER])
    await apply_agreement(stack, agreement, PROVIDER, RECIPIENT)

    async with campaign.load(deadline_s=30) as load:
        await load.acknowledged(200)
        await eventually(lambda: campaign.seen(RECIPIENT, campaign.ledger.keys), within_s=60)
        await revoke_agreement(stack, agreement, first)
        asked_before = set(campaign.ledger.asked)
        await load.acknowledged(100)
        await revoke_agreement(stack, agreement, second)
        await load.acknowledged(100)
    verdict = await campaign.verdict()
    assert verdict.clean, str(verdict)
    assert not campaign.ledger.failures

    await _the_stream_brings_what_it_will(stack, agreement, campaign)
    at_home = await campaign.seen(PROVIDER, campaign.ledger.keys)
    crossed = await campaign.seen(RECIPIENT, campaign.ledger.keys)
    assert crossed
    assert not _after(campaign.ledger, crossed, asked_before)
    assert not _not_a_beginning(campaign.ledger, crossed)
    assert not _lines_with_holes(at_home, crossed)


async def _the_stream_brings_what_it_will(stack: Stack, agreement: str, campaign: Campaign) -> None:
    """Both localities' streams are in order: what comes under a later agreement comes after all of the one before."""
    await apply_agreement(stack, f"{agreement}-anew", PROVIDER, RECIPIENT)
    await Campaign(stack, f"{campaign.name}-anew", origin=PROVIDER, entitled=[RECIPIENT]).rest()
    await revoke_agreement(stack, f"{agreement}-anew", PROVIDER, RECIPIENT)


def _history(ledger: Ledger, key: str) -> list[str]:
    """Requests of a key in the order they took effect: the totals they were answered with only grow."""
    ids = [id for id, request in ledger.asked.items() if request.key == key]
    return sorted(ids, key=ledger.answered.__getitem__)


def _after(ledger: Ledger, crossed: dict[str, Seen], asked_before: set[str]) -> list[str]:
    """Keys of which the recipient saw a request that was first asked when the revocation had been answered."""
    return [
        key
        for key, seen in crossed.items()
        if any(id not in asked_before for id in _history(ledger, key)[: seen.count])
    ]


def _not_a_beginning(ledger: Ledger, crossed: dict[str, Seen]) -> list[str]:
    """Keys of which the recipient saw anything but the first so many."""
    return [
        f"{key}: {seen}"
        for key, seen in crossed.items()
        if seen.total != sum(ledger.asked[id].amount for id in _history(ledger, key)[: seen.count])
        or list(seen.sequences) != sorted(set(seen.sequences))
    ]


def _lines_with_holes(at_home: dict[str, Seen], crossed: dict[str, Seen]) -> list[str]:
    """Partitions of which an event crossed although one before it, of whatever key, did not."""
    last_crossed, first_kept = dict[int, int](), dict[int, int]()
    for key, seen in at_home.items():
        partition, count = partition_of(key), crossed.get(key, Seen()).count
        last_crossed[partition] = max([last_crossed.get(partition, 0), *seen.sequences[:count]])
        first_kept[partition] = min([first_kept.get(partition, 2**63), *seen.sequences[count:]])
    return [
        f"{p}: {last_crossed[p]} crossed, {first_kept[p]} did not"
        for p in last_crossed
        if last_crossed[p] > first_kept[p]
    ]
