"""Which readings are flagged, and what of them enters the means.

The limits stand in `reading_quality.csv`, each with its source. A verdict depends on the reading and on two earlier
ones that the station's watch remembers, in the order of arrival; never on a query.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from itertools import compress, product
from typing import Final, NamedTuple

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


class Verdict(NamedTuple):
    """What a reading is worth."""

    flags: tuple[Flag, ...]
    values: Mapping[str, int]
    """What enters the means, in pg/m³."""

    @property
    def is_repeat(self) -> bool:
        """Whether the station said so seconds before."""
        return Flag.REPEAT in self.flags

    @property
    def is_sound(self) -> bool:
        """Whether the next reading may be compared with this one: no flag but UNIT_SCALE, which concerns one value."""
        return not self.flags or self.flags == (Flag.UNIT_SCALE,)


@dataclass(slots=True)
class Judge:
    """Judges a station's readings one after another."""

    latest_distinct_ms: int | None
    latest_sound: Sound | None

    def hear(self, measured: Mapping[str, float], at_ms: int) -> Verdict:
        """Judges one reading of µg/m³, and remembers what the next ones are judged by."""
        distinct_ms, sound = self.latest_distinct_ms, self.latest_sound
        verdict = judge(measured, at_ms, distinct_ms, sound)
        if (distinct_ms is None or at_ms > distinct_ms) and not verdict.is_repeat:
            self.latest_distinct_ms = at_ms
        if (sound is None or at_ms > sound.at_ms) and verdict.is_sound:
            self.latest_sound = Sound(at_ms, verdict.values)
        return verdict


def judge(
    measured: Mapping[str, float], at_ms: int, latest_distinct_ms: int | None, latest_sound: Sound | None
) -> Verdict:
    """Judges one reading of µg/m³ against the station's latest distinct and latest sound reading."""
    comparable = latest_sound is not None and abs(at_ms - latest_sound.at_ms) <= _JUMP_MS
    before: Mapping[str, int] = latest_sound.values if comparable and latest_sound else {}
    values: dict[str, int] = {}
    is_out_of_range = is_off_scale = jumps = False
    for pollutant, ug_m3 in measured.items():
        greatest, least, step = _LIMITS_PG_M3[pollutant]
        pg_m3 = to_pg_m3(ug_m3) if math.isfinite(ug_m3) else -1
        if not 0 <= pg_m3 <= greatest:
            is_out_of_range = True
        elif 0 < pg_m3 < least:
            is_off_scale = True
        else:
            values[pollutant] = pg_m3
            if pollutant in before and abs(pg_m3 - before[pollutant]) > step:
                jumps = True
    is_repeat = latest_distinct_ms is not None and abs(at_ms - latest_distinct_ms) < _REPEAT_MS
    if is_out_of_range or jumps or is_repeat:
        values = {}
    return Verdict(_FLAGS[is_out_of_range, jumps, is_repeat, is_off_scale], values)


def _read_limits(flag: Flag, limit: str) -> dict[str, float]:
    rows = csv.DictReader(files(__package__).joinpath("reading_quality.csv").read_text("utf-8").splitlines())
    return {row["pollutant"]: float(row["value"]) for row in rows if (row["flag"], row["limit"]) == (flag, limit)}


_MAX: Final = _read_limits(Flag.RANGE, "max_ug_m3")
_MIN: Final = _read_limits(Flag.UNIT_SCALE, "min_ug_m3")
_STEP: Final = _read_limits(Flag.JUMP, "max_step_ug_m3")
_LIMITS_PG_M3: Final = {str(p): (to_pg_m3(_MAX[p]), to_pg_m3(_MIN.get(p, 0)), to_pg_m3(_STEP[p])) for p in Pollutant}
"""Greatest value, least value other than 0, and greatest step, by pollutant."""
_FLAGS: Final = {holds: tuple(compress(Flag, holds)) for holds in product((False, True), repeat=len(Flag))}
"""Flags by which of them hold."""
_JUMP_MS: Final = 1000 * int(_read_limits(Flag.JUMP, "within_s")[""])
_REPEAT_MS: Final = 1000 * int(_read_limits(Flag.REPEAT, "within_s")[""])
