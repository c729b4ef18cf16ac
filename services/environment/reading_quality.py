"""Which readings are flagged, and what of them enters the means.

The limits stand in `reading_quality.csv`, each with its source. A verdict depends on the reading and on two earlier
ones that the station's watch remembers, in the order of arrival; never on a query.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from typing import Final

from services.environment.vn_aqi import Pollutant, to_pg_m3


class Flag(StrEnum):
    """Why a reading, or a value of it, does not enter the means."""

    RANGE = "RANGE"
    JUMP = "JUMP"
    REPEAT = "REPEAT"
    UNIT_SCALE = "UNIT_SCALE"


@dataclass(frozen=True, slots=True)
class Sound:
    """The latest reading that may stand for the station's air."""

    at_ms: int
    values: Mapping[str, int]
    """In pg/m³."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reading is worth."""

    flags: tuple[Flag, ...] = ()
    values: Mapping[Pollutant, int] = field(default_factory=dict)
    """What enters the means, in pg/m³."""

    @property
    def is_repeat(self) -> bool:
        """Whether the station said so seconds before."""
        return Flag.REPEAT in self.flags

    @property
    def is_sound(self) -> bool:
        """Whether the next reading may be compared with this one: no flag but UNIT_SCALE, which concerns one value."""
        return all(flag is Flag.UNIT_SCALE for flag in self.flags)


def judge(
    measured: Mapping[Pollutant, float], at_ms: int, latest_distinct_ms: int | None, latest_sound: Sound | None
) -> Verdict:
    """Judges one reading of µg/m³ against the station's latest distinct and latest sound reading."""
    plausible = {p: to_pg_m3(value) for p, value in measured.items() if not _out_of_range(p, value)}
    values = {p: value for p, value in plausible.items() if not 0 < value < _UNIT_SCALE_PG_M3.get(p, 0)}
    found = {
        Flag.RANGE: len(plausible) < len(measured),
        Flag.JUMP: latest_sound is not None and _jumps(values, at_ms, latest_sound),
        Flag.REPEAT: latest_distinct_ms is not None and abs(at_ms - latest_distinct_ms) < _REPEAT_MS,
        Flag.UNIT_SCALE: len(values) < len(plausible),
    }
    verdict = Verdict(tuple(flag for flag, holds in found.items() if holds), values)
    return verdict if verdict.is_sound else Verdict(verdict.flags)


def _out_of_range(pollutant: Pollutant, ug_m3: float) -> bool:
    return not math.isfinite(ug_m3) or not 0 <= to_pg_m3(ug_m3) <= _MAX_PG_M3[pollutant]


def _jumps(values: Mapping[Pollutant, int], at_ms: int, before: Sound) -> bool:
    if abs(at_ms - before.at_ms) > _JUMP_MS:
        return False
    return any(abs(value - before.values[p]) > _MAX_STEP_PG_M3[p] for p, value in values.items() if p in before.values)


def _read_limits(flag: Flag, limit: str) -> dict[str, float]:
    rows = csv.DictReader(files(__package__).joinpath("reading_quality.csv").read_text("utf-8").splitlines())
    return {row["pollutant"]: float(row["value"]) for row in rows if (row["flag"], row["limit"]) == (flag, limit)}


def _in_pg_m3(limits: Mapping[str, float]) -> dict[Pollutant, int]:
    return {Pollutant(name): to_pg_m3(value) for name, value in limits.items()}


_MAX_PG_M3: Final = _in_pg_m3(_read_limits(Flag.RANGE, "max_ug_m3"))
_UNIT_SCALE_PG_M3: Final = _in_pg_m3(_read_limits(Flag.UNIT_SCALE, "min_ug_m3"))
_MAX_STEP_PG_M3: Final = _in_pg_m3(_read_limits(Flag.JUMP, "max_step_ug_m3"))
_JUMP_MS: Final = 1000 * int(_read_limits(Flag.JUMP, "within_s")[""])
_REPEAT_MS: Final = 1000 * int(_read_limits(Flag.REPEAT, "within_s")[""])
