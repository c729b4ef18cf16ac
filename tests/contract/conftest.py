"""Fixtures of the contracts' tests: hosts of the trial sector."""

from tests.hosts import home, homes

__all__ = ["home", "homes"]
