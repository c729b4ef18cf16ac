"""Fixtures of the runtime's tests: hosts of the trial sector."""

from tests.hosts import home, homes

__all__ = ["home", "homes"]
