"""States of a case: which moves are allowed (`case_moves.csv`), and what each does to the clock (`case_states.csv`)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from enum import StrEnum
from importlib.resources import files
from typing import Final

from lienthong.administration.v1 import CaseState
from mesh.errors import FailedPrecondition


class Clock(StrEnum):
    """What the clock of a deadline does while a case is in a state."""

    WAITS = "waits"
    """It has not begun."""
    RUNS = "runs"
    STANDS = "stands"
    ENDED = "ended"


def clock_of(state: int) -> Clock:
    """What the clock does in a `CaseState`."""
    return _CLOCKS[state]


def is_open(state: int) -> bool:
    """Whether a case was accepted and is neither processed nor withdrawn."""
    return clock_of(state) in (Clock.RUNS, Clock.STANDS)


def check_move(before: int, after: int) -> None:
    """Raises `FailedPrecondition`, naming the allowed states, for a move that is not among them."""
    allowed = [name_of(state) for state in _MOVES.get(before, ())]
    if name_of(after) in allowed:
        return
    said = f"it may become {', '.join(allowed)}" if allowed else "that is final"
    raise FailedPrecondition(f"a case that is {name_of(before)} cannot become {name_of(after)}: {said}", allowed)


def name_of(state: int) -> str:
    """Name of a state, as `IN_PROCESS`."""
    return CaseState.Name(state).removeprefix("CASE_STATE_")


def _rows(file: str) -> Iterator[dict[str, str]]:
    yield from csv.DictReader(files(__package__).joinpath(file).read_text("utf-8").splitlines())


def _number(name: str) -> int:
    return CaseState.Value(f"CASE_STATE_{name}")


def _read_moves() -> dict[int, list[int]]:
    moves: dict[int, list[int]] = {}
    for row in _rows("case_moves.csv"):
        moves.setdefault(_number(row["from"]), []).append(_number(row["to"]))
    return moves


_CLOCKS: Final = {_number(row["state"]): Clock(row["clock"]) for row in _rows("case_states.csv")}
_MOVES: Final = _read_moves()
