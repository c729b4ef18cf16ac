"""A city with one registered station."""

from __future__ import annotations

import pytest

from tests.unit.environment.city import City, new_city


@pytest.fixture
def city() -> City:
    found = new_city()
    found.register()
    return found
