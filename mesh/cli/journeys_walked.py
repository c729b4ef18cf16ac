"""Journeys as they went: what came of each step, and what was missing."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from mesh.cli.journeys_forms import Journey, Step, View
from mesh.cli.output import short
from mesh.cli.tailing import Seen


@dataclass(slots=True)
class Standing:
    """What a view showed after a step."""

    name: str
    locality: str
    view: View
    expected: int
    rows: list[Any]

    @property
    def met(self) -> bool:
        """Whether it is what must stand."""
        return len(self.rows) == self.expected


@dataclass(slots=True)
class Walked:
    """A step, and what came of it."""

    step: Step
    trace: str
    """Its trace id, for whoever follows it in a tracing system."""
    began: float = field(default_factory=time.monotonic)
    answered_s: float | None = None
    came: list[Seen] = field(default_factory=list)
    standing: list[Standing] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def missing(self) -> list[tuple[str, str]]:
        """Events that must still come: locality and type."""
        wanted = Counter((slug, name) for slug, names in self.step.events.items() for name in names)
        return sorted((wanted - Counter((seen.locality, short(seen.event.type)) for seen in self.came)).elements())


@dataclass(slots=True)
class WalkedJourney:
    """A journey as it went."""

    journey: Journey
    steps: list[Walked] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Of what was to be prepared."""
    absent: list[str] = field(default_factory=list)
    """Localities it needs that do not run here: it was not walked."""

    @property
    def met(self) -> bool:
        """Whether all came of it that had to."""
        return not self.problems and not any(step.problems for step in self.steps)
