"""The life of a permit.

    APPLIED ── grant ──→ GRANTED ── cancel ──→ CANCELLED
       │                 │  ↑ └─── its time passes ──→ EXPIRED
       │                 └──┘ change
       └────────────── cancel ──→ CANCELLED

EXPIRED is read off the clock and never written: when a permit ends was told when it was granted.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from lienthong.administration.v1 import (
    PERMIT_STATE_APPLIED,
    PERMIT_STATE_CANCELLED,
    PERMIT_STATE_EXPIRED,
    PERMIT_STATE_GRANTED,
    PermitState,
)
from mesh.errors import FailedPrecondition


class Step(StrEnum):
    """What can be done to a permit, as errors say it."""

    GRANT = "granted"
    CHANGE = "changed"
    CANCEL = "cancelled"


STEPS: Final[dict[tuple[int, Step], int]] = {
    (PERMIT_STATE_APPLIED, Step.GRANT): PERMIT_STATE_GRANTED,
    (PERMIT_STATE_APPLIED, Step.CANCEL): PERMIT_STATE_CANCELLED,
    (PERMIT_STATE_GRANTED, Step.CHANGE): PERMIT_STATE_GRANTED,
    (PERMIT_STATE_GRANTED, Step.CANCEL): PERMIT_STATE_CANCELLED,
}
"""State after each step, by state before; what is not here is refused."""


def state_at(now_ms: int, kept: int, until_ms: int) -> int:
    """State of a permit that is kept in a state and holds until a time."""
    is_over = kept == PERMIT_STATE_GRANTED and until_ms <= now_ms
    return PERMIT_STATE_EXPIRED if is_over else kept


def state_after(step: Step, state: int) -> int:
    """State after a step. Raises FailedPrecondition naming the states in which it is allowed."""
    try:
        return STEPS[state, step]
    except KeyError:
        allowed = [_name(before) for before, known in STEPS if known is step]
        raise FailedPrecondition(
            f"a permit that stands {_name(state)} cannot be {step}, only one that stands {' or '.join(allowed)}",
            allowed,
        ) from None


def _name(state: int) -> str:
    return str(PermitState.Name(state)).removeprefix("PERMIT_STATE_")
