"""Which sector owns a category of field reports (`report_routing.csv`)."""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import Final

from lienthong.administration.v1 import SECTOR_ADMINISTRATION, ReportCategory, Sector


def owner_of(category: int) -> int:
    """The `Sector` of a `ReportCategory`; administration for one not known here, which reroutes it by hand."""
    return _OWNERS.get(category, int(SECTOR_ADMINISTRATION))


def _read() -> dict[int, int]:
    rows = csv.DictReader(files(__package__).joinpath("report_routing.csv").read_text("utf-8").splitlines())
    return {
        ReportCategory.Value(f"REPORT_CATEGORY_{row['category']}"): Sector.Value(f"SECTOR_{row['sector']}")
        for row in rows
    }


_OWNERS: Final = _read()
