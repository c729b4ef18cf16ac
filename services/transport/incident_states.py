"""What may be done with an incident in which state.

REPORTED ── update ──→ REPORTED ── clear ──→ CLEARED
"""

from __future__ import annotations

from typing import Final

from lienthong.transport.v1 import INCIDENT_STATE_CLEARED, INCIDENT_STATE_REPORTED, IncidentState
from mesh.errors import FailedPrecondition

MOVES: Final = {
    "update": (INCIDENT_STATE_REPORTED, INCIDENT_STATE_REPORTED),
    "clear": (INCIDENT_STATE_REPORTED, INCIDENT_STATE_CLEARED),
}
"""By verb: the state it leads on from, and the one it leads to."""


def after(verb: str, state: int, incident_id: str) -> int:
    """The state a verb leads to; raises FailedPrecondition naming the state it may be done in."""
    source, goal = MOVES[verb]
    if state != source:
        allowed = state_name(source)
        raise FailedPrecondition(f"incident {incident_id} is {state_name(state)}; {verb} needs {allowed}", [allowed])
    return int(goal)


def state_name(state: int) -> str:
    """Name for errors, as `REPORTED`."""
    return IncidentState.Name(state).removeprefix("INCIDENT_STATE_")
