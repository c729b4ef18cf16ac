"""As `holds_everything`, and marks advance whatever another process has made of them. For child processes only."""

from __future__ import annotations

from typing import Any

from mesh.marks import Mark
from mesh.unit import Unit
from tests.faults.mutants.holds_everything import WitnessService

__all__ = ["WitnessService"]

_advance = Mark.advance


def _advance_blindly(self: Mark, advances: Any, position: int) -> Unit:
    unit = _advance(self, advances, position)
    del unit.views[self.address]
    return unit


Mark.advance = _advance_blindly  # type: ignore[method-assign]
