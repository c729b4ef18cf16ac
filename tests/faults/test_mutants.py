"""The proofs can fail: with a check of the marks taken out, the same campaigns and the same judge go red."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mesh.stack import Stack
from tests.faults.campaign import Campaign
from tests.faults.judge import Verdict
from tests.faults.trial_mesh import TRIAL, Twin

pytestmark = pytest.mark.timeout(120)


@asynccontextmanager
async def campaign_on(mutant: str, folder: Path) -> AsyncIterator[Campaign]:
    services = [TRIAL, f"tests.faults.mutants.{mutant}:WitnessService"]
    async with Stack(["da-nang"], folder, services=services) as stack:
        yield Campaign(stack, "mutant")


async def test_a_runtime_that_forgets_its_marks_is_found_out(tmp_path: Path) -> None:
    """It is killed once, and handles again what it had handled before."""
    async with campaign_on("forgets_marks", tmp_path) as campaign:
        services = campaign.stack.child("da-nang.services")

        async with campaign.load() as load:
            await load.acknowledged(100)
            await services.kill()
            await services.wait_ready()
            await load.acknowledged(50)

        assert (await campaign.verdict()).doubled


async def test_a_runtime_that_compares_no_marks_is_found_out(tmp_path: Path) -> None:
    """Two processes read the same lines, and both apply them."""
    assert (await _verdict_on_two_holders("compares_no_marks", tmp_path)).doubled


async def test_marks_alone_keep_two_holders_apart(tmp_path: Path) -> None:
    """Two processes read the same lines, as above; that marks are compared is all it takes."""
    verdict = await _verdict_on_two_holders("holds_everything", tmp_path)
    assert verdict.clean, str(verdict)


async def _verdict_on_two_holders(mutant: str, folder: Path) -> Verdict:
    services = [TRIAL, f"tests.faults.mutants.{mutant}:WitnessService"]
    async with campaign_on(mutant, folder) as campaign, Twin(campaign.stack, "da-nang", services) as twin:
        async with campaign.load(twin.place, rate=100) as load:
            await load.acknowledged(80)
        return await campaign.verdict()
