"""When an alert is raised, rises and is lifted: a fold over a station's closed hours in order of time.

Hours are counted from 1970-01-01T00:00Z; the alert of a moment is named by the hour that ended then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from services.environment.vn_aqi import Index, Pollutant

QUIET_HOURS: Final = 2
"""Hours at or below the level that lift an alert."""
SILENT_HOURS: Final = 6
"""Hours without an index that lift an alert."""
CORRECTION_HOURS: Final = 48
"""How far behind the latest closed hour a late reading may still change the alert."""


class LiftReason(StrEnum):
    """Why an alert ended, as in the contract."""

    INDEX_BELOW = "INDEX_BELOW"
    NO_DATA = "NO_DATA"
    CORRECTED = "CORRECTED"


@dataclass(frozen=True, slots=True)
class AlertState:
    """A station's alert after one of its hours."""

    active: bool = False
    band: int = 0
    """Highest band since it was raised; 0 when not active."""
    index: int = 0
    """Index of the hour that first reached that band."""
    pollutant: str = ""
    """What decided that index."""
    hour: int = 0
    """That hour."""
    quiet: int = 0
    """Hours in a row at or below the level."""
    last_index_hour: int | None = None
    """The last hour that had an index."""
    level: int = 0
    """What the hour that first reached the band had to pass."""

    def as_dict(self) -> dict[str, Any]:
        """What a document keeps of it; `AlertState(**kept)` is the way back."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Raised:
    """The index passed the level, or rose by a band."""

    hour: int
    band: int
    index: int
    pollutant: Pollutant
    level: int
    """What the index passed."""
    previous_band: int = 0


@dataclass(frozen=True, slots=True)
class Lifted:
    """The alert ended with the end of this hour."""

    hour: int
    reason: LiftReason
    index: int | None = None


Transition = Raised | Lifted


def step(state: AlertState, hour: int, index: Index | None, level: int) -> tuple[AlertState, list[Transition]]:
    """What one more closed hour does to the alert."""
    transitions: list[Transition] = []
    if state.active and silent_hours(state, hour if index else hour + 1) >= SILENT_HOURS:
        state, lifted = lift_silent(state)
        transitions.append(lifted)
    if index is None:
        return state, transitions
    state, found = _with_index(replace(state, last_index_hour=hour), hour, index, level)
    return state, [*transitions, *found]


def silent_hours(state: AlertState, until: int) -> int:
    """Full hours between the end of the last hour with an index and the start of the hour `until`."""
    return 0 if state.last_index_hour is None else until - state.last_index_hour - 1


def lift_silent(state: AlertState) -> tuple[AlertState, Lifted]:
    """Ends an alert of which nothing was heard for six hours, as of the end of the sixth."""
    assert state.last_index_hour is not None, "an alert is raised by an index"
    return _ended(state), Lifted(state.last_index_hour + SILENT_HOURS, LiftReason.NO_DATA)


def correct(
    published: AlertState, refolded: AlertState, hour: int, index: Index | None
) -> tuple[AlertState, list[Transition]]:
    """What to publish when the fold, run again up to `hour`, ends differently from what was published.

    An alert that would only have been milder stays as published: nobody needs to hear that.
    """
    if published.active and not refolded.active:
        return refolded, [Lifted(hour, LiftReason.CORRECTED, index.value if index else None)]
    if refolded.active and refolded.band > published.band:
        return refolded, [_raised(refolded, published.band)]
    if refolded.active:
        kept = replace(published, quiet=refolded.quiet, last_index_hour=refolded.last_index_hour)
        return kept, []
    return refolded, []


def _with_index(state: AlertState, hour: int, index: Index, level: int) -> tuple[AlertState, list[Transition]]:
    if index.value > level:
        if index.band <= state.band:
            return replace(state, quiet=0), []
        risen = AlertState(True, index.band, index.value, str(index.pollutant), hour, 0, hour, level)
        return risen, [_raised(risen, state.band)]
    if not state.active:
        return state, []
    if state.quiet + 1 < QUIET_HOURS:
        return replace(state, quiet=state.quiet + 1), []
    return _ended(state), [Lifted(hour, LiftReason.INDEX_BELOW, index.value)]


def _raised(state: AlertState, previous_band: int) -> Raised:
    return Raised(state.hour, state.band, state.index, Pollutant(state.pollutant), state.level, previous_band)


def _ended(state: AlertState) -> AlertState:
    return AlertState(last_index_hour=state.last_index_hour)
