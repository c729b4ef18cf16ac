"""Three segments: prone to floods and near the gauge, not prone and near, prone and far."""

from __future__ import annotations

import pytest

from tests.unit.transport.roads import Roads, new_roads, segment


@pytest.fixture
def roads() -> Roads:
    return new_roads(
        [segment("low", 100), segment("high", 2000, flood_prone=False), segment("remote", 20_000)],
    )
