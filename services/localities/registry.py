"""The registry of provinces and cities: what held when, and what was known of it when.

Bitemporal: a version says what is true from `valid_from` until `valid_until`, and that it was believed from
`recorded_at` until `replaced_at`. Of a code at one moment, as known at one moment, there is at most one version.

Sources: Decision 19/2025/QĐ-TTg (34 units since 1 July 2025), Resolution 15/2008/QH12 (63 units since 1 August 2008);
each row names its own.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib import resources
from typing import Final

_LOCAL: Final = timezone(timedelta(hours=7))
"""Laws take effect at midnight in Việt Nam."""

MERGED: Final = datetime(2025, 7, 1, tzinfo=_LOCAL)
"""When 63 units became 34 (Decision 19/2025/QĐ-TTg)."""


@dataclass(frozen=True, slots=True)
class Version:
    """What was known of one unit for a time."""

    code: str
    """Two digits, zero-padded."""
    slug: str
    """Empty for a unit of before the merger."""
    name: str
    type: str
    """`city` or `province`."""
    communes: int
    """Number of communes, wards and special zones; 0 where none is recorded."""
    valid_from: datetime
    valid_until: datetime | None
    recorded_at: datetime
    replaced_at: datetime | None
    source: str

    def holds(self, valid_at: datetime, known_at: datetime) -> bool:
        """Whether it says something of that moment, and was believed at the other."""
        return _within(self.valid_from, valid_at, self.valid_until) and _within(
            self.recorded_at, known_at, self.replaced_at
        )


@dataclass(frozen=True, slots=True)
class FormerUnit:
    """A unit of before 1 July 2025 and the code of what it became part of."""

    code: str
    name: str
    became: str


def as_of(valid_at: datetime, known_at: datetime) -> list[Version]:
    """All units as of a moment, by code."""
    return [version for version in _versions() if version.holds(valid_at, known_at)]


def version(code: str, valid_at: datetime, known_at: datetime) -> Version | None:
    """One unit as of a moment."""
    return next((found for found in versions(code) if found.holds(valid_at, known_at)), None)


def versions(code: str) -> list[Version]:
    """All that was ever recorded under a code, by time of validity, then of recording."""
    return [found for found in _versions() if found.code == code]


def former_units(code: str) -> list[FormerUnit]:
    """What a locality of today covers, by former code."""
    return [unit for unit in _former_units().values() if unit.became == code]


def resolve(code: str, used_at: datetime | None, now: datetime) -> tuple[Version | None, FormerUnit | None]:
    """What a code has become, and the unit it named when it was used, if that is no more.

    Without a time of use it is a code of today if there is such a one.
    """
    today = version(code, now, now)
    former = _former_units().get(code)
    if (used_at is None and today is None) or (used_at is not None and used_at < MERGED):
        return (version(former.became, now, now), former) if former else (None, None)
    return today, None


def _within(start: datetime, moment: datetime, end: datetime | None) -> bool:
    return start <= moment and (end is None or moment < end)


@cache
def _versions() -> tuple[Version, ...]:
    rows = (
        Version(
            code=row["code"],
            slug=row["slug"],
            name=row["name"],
            type=row["type"],
            communes=int(row["communes"] or 0),
            valid_from=_midnight(row["valid_from"]),
            valid_until=_midnight(row["valid_until"]) if row["valid_until"] else None,
            recorded_at=_midnight(row["recorded_at"]),
            replaced_at=_midnight(row["replaced_at"]) if row["replaced_at"] else None,
            source=row["source"],
        )
        for row in _rows("registry.csv")
    )
    return tuple(sorted(rows, key=lambda found: (found.code, found.valid_from, found.recorded_at)))


@cache
def _former_units() -> dict[str, FormerUnit]:
    return {row["code"]: FormerUnit(row["code"], row["name"], row["became"]) for row in _rows("former_units.csv")}


def _midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=_LOCAL)


def _rows(file: str) -> Iterator[dict[str, str]]:
    with (resources.files("services.localities") / file).open(encoding="utf-8") as lines:
        yield from csv.DictReader(lines)
