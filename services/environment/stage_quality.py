"""Which stages may raise or lift an alarm, and which are kept but flagged.

The limits stand in `stage_quality.csv`; the plausible rate is the station's own. A verdict depends on the stage, on the
latest sound one and on the jumps since, never on a query.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import IntEnum
from importlib.resources import files
from itertools import takewhile
from typing import Final, NamedTuple

_MS_PER_HOUR: Final = 3_600_000


class Flag(IntEnum):
    """Why a stage is not judged; numbers of `lienthong.environment.v1.StageFlag`."""

    JUMP = 1
    LATE = 2


class Seen(NamedTuple):
    """A stage and when it was observed."""

    at_ms: int
    stage_mm: int


@dataclass(frozen=True, slots=True)
class Reference:
    """What a stage is compared with."""

    sound: Seen | None = None
    """The latest stage that was judged."""
    jumps: tuple[Seen, ...] = ()
    """Stages that jumped from it one after the other and are plausible among themselves."""


def judge(seen: Seen, before: Reference, rate_mm_per_h: int) -> tuple[Flag | None, Reference]:
    """The stage's flag, None when it is sound, and what the next one is compared with.

    Stages that jump to the same place again and again are believed in the end: a true wave is not silenced for ever.
    """
    if before.sound is None:
        return None, Reference(seen)
    if seen.at_ms < before.sound.at_ms:
        return Flag.LATE, before
    if _is_plausible(before.sound, seen, rate_mm_per_h):
        return None, Reference(seen)
    agreeing = takewhile(lambda jump: _is_plausible(jump, seen, rate_mm_per_h), reversed(before.jumps))
    jumps = (*reversed(list(agreeing)), seen)
    if len(jumps) == _AGREEING_JUMPS:
        return None, Reference(seen)
    return Flag.JUMP, Reference(before.sound, jumps)


def _is_plausible(one: Seen, other: Seen, rate_mm_per_h: int) -> bool:
    interval_ms = max(abs(other.at_ms - one.at_ms), _SHORTEST_INTERVAL_MS)
    beyond_mm = abs(other.stage_mm - one.stage_mm) - _TOLERANCE_MM
    return beyond_mm * _MS_PER_HOUR <= rate_mm_per_h * interval_ms


def _read_limits() -> dict[str, float]:
    rows = csv.DictReader(files(__package__).joinpath("stage_quality.csv").read_text("utf-8").splitlines())
    return {row["limit"]: float(row["value"]) for row in rows}


_LIMITS: Final = _read_limits()
_SHORTEST_INTERVAL_MS: Final = round(1000 * _LIMITS["shortest_interval_s"])
_TOLERANCE_MM: Final = round(1000 * _LIMITS["tolerance_m"])
_AGREEING_JUMPS: Final = int(_LIMITS["agreeing_jumps"])
