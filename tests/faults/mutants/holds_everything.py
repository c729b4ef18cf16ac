"""A runtime whose processes each believe that every line is theirs; marks are as they should be.

For child processes only.
"""

from __future__ import annotations

from mesh.members import Members
from tests.trial.services import WitnessService

__all__ = ["WitnessService"]

Members.holds = lambda self, duty: True  # type: ignore[method-assign]
