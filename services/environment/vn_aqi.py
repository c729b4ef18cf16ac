"""VN_AQI: the Vietnamese air quality index, hourly and daily (Decision 1459/QĐ-TCMT, 12 November 2019).

Concentrations are integers or fractions of 10⁻⁶ µg/m³ (1 pg/m³), so that an index does not depend on who adds in
which order: an index of 100.5 raises an alert, 100.499… does not.
"""

from __future__ import annotations

import csv
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from importlib.resources import files
from math import gcd
from typing import Final


class Pollutant(StrEnum):
    """A measured substance. Of two with the same sub-index the earlier one names the index."""

    PM25 = "pm25"
    PM10 = "pm10"
    O3 = "o3"
    NO2 = "no2"
    SO2 = "so2"
    CO = "co"


Concentration = int | Fraction
"""In pg/m³."""
Means = Mapping[str, int]
"""Hourly means by pollutant; an absent one was not measured."""

PG_PER_UG: Final = 1_000_000
NOWCAST_HOURS: Final = 12
EIGHT_HOURS: Final = 8
MIN_OF_EIGHT_HOURS: Final = 6
BAND_TOPS: Final = (50, 100, 150, 200, 300, 500)
PARTICLES: Final = (Pollutant.PM25, Pollutant.PM10)
GASES: Final = (Pollutant.O3, Pollutant.NO2, Pollutant.SO2, Pollutant.CO)


@dataclass(frozen=True, slots=True)
class Index:
    """An index and the pollutant that decides it."""

    value: int
    pollutant: Pollutant

    @property
    def band(self) -> int:
        """Band of the index, 1 (Tốt) to 6 (Nguy hại), as `lienthong.environment.v1.Band` counts."""
        return band(self.value)


def to_pg_m3(ug_m3: float) -> int:
    """Nearest whole number of pg/m³; ties go to the even one."""
    return round(ug_m3 * PG_PER_UG)


def mean(total: int, count: int) -> int:
    """Mean in whole pg/m³, half up."""
    return (2 * total + count) // (2 * count)


def band(index: int) -> int:
    """Band of an index, 1 to 6."""
    return bisect_left(BAND_TOPS, index) + 1


def nowcast(hours: Sequence[int | None]) -> Fraction | None:
    """Weighted mean of up to twelve hourly means, this hour first, that follows a change of the air quickly.

    `None` where fewer than two of the latest three hours are there. The less steady the air, the less earlier hours
    weigh, down to half from hour to hour. That form is printed without normalising, which is right only for twelve
    hours: with gaps it is normalised here.
    """
    present = [c for c in hours if c is not None]
    if sum(c is not None for c in hours[:3]) < 2:
        return None
    low, high = min(present), max(present)
    if high == 0:
        return Fraction(0)
    steady = 2 * low > high
    upper, lower = (low // gcd(low, high), high // gcd(low, high)) if steady else (1, 2)
    # wⁱ as integers over a common denominator: fractions of twelve powers are ten times slower.
    weight, weights, total = lower ** (NOWCAST_HOURS - 1), 0, 0
    for c in hours:
        if c is not None:
            weights += weight
            total += weight * c
        weight = weight * upper // lower
    as_printed = not steady and len(present) == NOWCAST_HOURS
    return Fraction(total, 2**NOWCAST_HOURS if as_printed else weights)


def sub_index(column: str, concentration: Concentration) -> int:
    """Index of one concentration, half up, in one column of the table: a pollutant, `o3_1h` or `o3_8h`."""
    points, indexes = _TABLE[column]
    # With integers throughout: comparing and adding fractions would be half of an hour's cost.
    upper, lower = concentration.numerator, concentration.denominator
    above = bisect_right(points, upper // lower)
    if above == len(points):
        return indexes[-1]
    low, low_index = points[above - 1], indexes[above - 1]
    span, rise = points[above] - low, indexes[above] - low_index
    return low_index + (2 * rise * (upper - low * lower) + span * lower) // (2 * span * lower)


def hourly_index(hours: Sequence[Means]) -> Index | None:
    """Index of an hour from its means and those of the eleven before, this hour first; an empty one has no data."""
    particles = {p: nowcast([means.get(p) for means in hours]) for p in PARTICLES}
    found = {p: sub_index(_HOURLY_COLUMN[p], c) for p, c in particles.items() if c is not None}
    if not found:
        return None
    now = hours[0]
    return _greatest(found | {p: sub_index(_HOURLY_COLUMN[p], now[p]) for p in GASES if p in now})


def daily_index(day: Sequence[Means], before: Sequence[Means] = ()) -> Index | None:
    """Index of a day from the means of its hours, oldest first; `before` are the seven hours that led to it.

    Particles by the mean of the day, gases by the highest hour, ozone also by the highest eight hours.
    """
    particles = {p: _mean_of([means[p] for means in day if p in means]) for p in PARTICLES}
    if all(c is None for c in particles.values()):
        return None
    gases = {p: max((means[p] for means in day if p in means), default=None) for p in GASES}
    found = {p: sub_index(_HOURLY_COLUMN[p], c) for p, c in (particles | gases).items() if c is not None}
    eight = _highest_eight_hours([means.get(Pollutant.O3) for means in (*before[-7:], *day)], len(before[-7:]))
    if eight is not None and eight <= _TABLE["o3_8h"][0][-1]:
        found[Pollutant.O3] = max(found.get(Pollutant.O3, 0), sub_index("o3_8h", eight))
    return _greatest(found)


def _greatest(sub_indexes: Mapping[Pollutant, int]) -> Index:
    pollutant = max((p for p in _IN_ORDER if p in sub_indexes), key=sub_indexes.__getitem__)
    return Index(sub_indexes[pollutant], pollutant)


def _mean_of(hours: Sequence[int]) -> Fraction | None:
    return Fraction(sum(hours), len(hours)) if hours else None


def _highest_eight_hours(hours: Sequence[int | None], first: int) -> Fraction | None:
    """Highest mean of eight consecutive hours that end at `first` or later, six of them at least present."""
    windows = (hours[max(0, end - EIGHT_HOURS + 1) : end + 1] for end in range(first, len(hours)))
    present = ([c for c in window if c is not None] for window in windows)
    return max((Fraction(sum(w), len(w)) for w in present if len(w) >= MIN_OF_EIGHT_HOURS), default=None)


def _read_table() -> dict[str, tuple[list[int], list[int]]]:
    """Concentrations (pg/m³) and their indexes, by column."""
    rows = list(csv.DictReader(files(__package__).joinpath("vn_aqi.csv").read_text("utf-8").splitlines()))
    columns = [name for name in rows[0] if name not in ("index", "source")]
    table = {}
    for column in columns:
        said = [row for row in rows if row[column]]
        table[column] = ([int(row[column]) * PG_PER_UG for row in said], [int(row["index"]) for row in said])
    return table


_IN_ORDER: Final = tuple(Pollutant)
_TABLE: Final = _read_table()
_HOURLY_COLUMN: Final = {p: "o3_1h" if p is Pollutant.O3 else str(p) for p in Pollutant}
