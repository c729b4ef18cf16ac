"""Who of several processes does what only one needs to do."""

from __future__ import annotations

from tests.hosts import Home
from tests.trial.services import TrialService


async def test_a_process_that_has_just_started_knows_itself(home: Home) -> None:
    """A majority read right after its own heartbeat would show nobody, and it would hold nothing until the next."""
    for _ in range(5):
        host = await home.start(TrialService)

        members = host.containers["trial"].members

        assert members.alone
        assert members.holds("anything")
        await home.stop(host)
