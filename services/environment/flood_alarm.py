"""When a flood alarm is raised, escalated, lowered and lifted: a fold over a station's sound stages.

Levels are báo động I, II and III of Decision 05/2020/QĐ-TTg, as 1, 2 and 3; 0 is none. Stages are whole millimetres.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final


class Change(StrEnum):
    """What happened to an alarm."""

    RAISED = "RAISED"
    ESCALATED = "ESCALATED"
    LOWERED = "LOWERED"
    LIFTED = "LIFTED"


CHANGES: Final[Mapping[tuple[int, int], Change]] = {
    (0, 1): Change.RAISED,
    (0, 2): Change.RAISED,
    (0, 3): Change.RAISED,
    (1, 2): Change.ESCALATED,
    (1, 3): Change.ESCALATED,
    (2, 3): Change.ESCALATED,
    (3, 2): Change.LOWERED,
    (3, 1): Change.LOWERED,
    (2, 1): Change.LOWERED,
    (3, 0): Change.LIFTED,
    (2, 0): Change.LIFTED,
    (1, 0): Change.LIFTED,
}
"""The state table: what a move from one level to another is called."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a station's stages are compared with."""

    levels_mm: tuple[int, int, int]
    """Stages of I, II and III, ascending."""
    hysteresis_mm: int
    """How far a stage must fall below a level to end it; less than the distance between two levels."""

    def reached_by(self, stage_mm: int) -> int:
        """The highest level at or below a stage."""
        return bisect_right(self.levels_mm, stage_mm)


@dataclass(frozen=True, slots=True)
class AlarmState:
    """A station's alarm after one of its stages."""

    level: int = 0
    highest: int = 0
    """Highest level since it was last raised, kept when it is lifted; 0 when it never was."""
    stage_mm: int = 0
    """Stage that brought it to this level."""
    raised_at_ms: int | None = None
    changed_at_ms: int | None = None
    lifted_at_ms: int | None = None
    """None while it stands."""

    def as_dict(self) -> dict[str, Any]:
        """What a document keeps of it; `AlarmState(**kept)` is the way back."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Transition:
    """A move from one level to another."""

    change: Change
    level: int
    previous: int
    at_ms: int
    stage_mm: int | None
    """None when an operator lifted it."""


def step(state: AlarmState, stage_mm: int, at_ms: int, limits: Limits) -> tuple[AlarmState, Transition | None]:
    """What one more sound stage does to the alarm."""
    level = level_after(state.level, stage_mm, limits)
    return (state, None) if level == state.level else _moved(state, level, at_ms, stage_mm)


def lift_by_hand(state: AlarmState, at_ms: int) -> tuple[AlarmState, Transition]:
    """Ends an alarm that stands. A silent gauge may be under water, so nothing else ends its alarm."""
    return _moved(state, 0, at_ms, None)


def level_after(level: int, stage_mm: int, limits: Limits) -> int:
    """A level begins when it is reached and ends when the stage is below it by more than the hysteresis."""
    kept = min(level, limits.reached_by(stage_mm + limits.hysteresis_mm))
    return max(kept, limits.reached_by(stage_mm))


def _moved(state: AlarmState, level: int, at_ms: int, stage_mm: int | None) -> tuple[AlarmState, Transition]:
    change = CHANGES[state.level, level]
    moved = replace(
        state,
        level=level,
        highest=level if change is Change.RAISED else max(state.highest, level),
        stage_mm=state.stage_mm if stage_mm is None else stage_mm,
        raised_at_ms=at_ms if change is Change.RAISED else state.raised_at_ms,
        changed_at_ms=at_ms,
        lifted_at_ms=at_ms if change is Change.LIFTED else None,
    )
    return moved, Transition(change, level, state.level, at_ms, stage_mm)
