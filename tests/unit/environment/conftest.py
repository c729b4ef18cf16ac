"""A city with one registered station, and a river with one gauge."""

from __future__ import annotations

import pytest

from tests.unit.environment.city import City, new_city
from tests.unit.environment.river import River, new_river


@pytest.fixture
def city() -> City:
    found = new_city()
    found.register()
    return found


@pytest.fixture
def river() -> River:
    found = new_river()
    found.register()
    return found
