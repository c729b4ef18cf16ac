"""`stack`: the embedded default with the trial sector in two localities, one per module, for faults to be done to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from mesh.stack import Stack
from tests.faults.trial_mesh import trial_mesh

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _environment_of_children() -> Iterator[None]:
    """Lets the processes of a stack import `tests`, wherever pytest was started, and report receipts often."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT), prepend=":")
        patch.setenv("LIENTHONG_EXCHANGE__RECEIPTS_EVERY_S", "1")
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Da Nang and Hue; Hue is told what Da Nang records."""
    async with trial_mesh(tmp_path_factory.mktemp("mesh")) as stack:
        yield stack
