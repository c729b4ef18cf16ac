"""The clock of a case: when it is to be processed, and whether it was.

A deadline is counted in working days from the day of acceptance, which is not counted. It moves on by each working day
from the one on which the clock came to stand to the one before it ran again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from lienthong.administration.v1 import (
    PUNCTUALITY_EARLY,
    PUNCTUALITY_LATE,
    PUNCTUALITY_ON_TIME,
)
from services.administration.case_states import Clock, clock_of, is_open
from services.administration.working_days import WORKING_DAYS


@dataclass(frozen=True, slots=True)
class Deadline:
    """The day by the end of which a case is to be processed."""

    day: date
    paused_working_days: int = 0
    """How many of its working days are there because the clock stood."""


@dataclass(frozen=True, slots=True)
class Step:
    """A move of a case as its clock sees it."""

    before: int
    after: int
    since: date
    """Day of the move before this one."""
    today: date


def first_deadline(accepted: date, working_days: int) -> Deadline:
    """The deadline of a case accepted on a day; `working_days` is what its procedure may take."""
    return Deadline(WORKING_DAYS.after(accepted, working_days))


def deadline_after(deadline: Deadline, step: Step) -> Deadline:
    """The deadline after a later move.

    From one pause to another it is counted up as well, so that the deadline is always that of the last move.
    """
    if clock_of(step.before) is not Clock.STANDS or not is_open(step.after):
        return deadline
    stood = WORKING_DAYS.between(step.since, step.today)
    return Deadline(WORKING_DAYS.after(deadline.day, stood), deadline.paused_working_days + stood)


def due_day(state: int, deadline: date | None, moved: date) -> date | None:
    """The day after which a case is late; None where it cannot become late before its next move.

    A clock that came to stand in time leaves at least as many working days as it has stood; one that came to stand too
    late does not become younger by standing.
    """
    if deadline is None or not is_open(state):
        return None
    stands_in_time = clock_of(state) is Clock.STANDS and moved <= deadline
    return None if stands_in_time else deadline


def punctuality_of(processed: date, deadline: date) -> int:
    """The `Punctuality` of a case processed on a day."""
    if processed < deadline:
        return PUNCTUALITY_EARLY
    return PUNCTUALITY_ON_TIME if processed == deadline else PUNCTUALITY_LATE
