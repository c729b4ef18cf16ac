"""Working days: Monday to Friday but for public holidays and the Saturdays worked for them (`holidays.csv`).

The government names the days around Tết and National Day year by year, so the calendar ends with the file's last year.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from importlib.resources import files
from typing import Final

from mesh.errors import FailedPrecondition

_FILE: Final = "holidays.csv"
_SATURDAY: Final = 5
_DAY: Final = timedelta(days=1)


class WorkingDays:
    """A calendar of whole years. Asked for a day of another one, it raises `FailedPrecondition`."""

    def __init__(self, exceptions: Mapping[date, bool]) -> None:
        """`exceptions`: whether work is done, for each day on which the weekday does not tell."""
        self._exceptions = exceptions
        self._first_year = min(exceptions).year
        self._last_year = max(exceptions).year

    def is_working(self, day: date) -> bool:
        """Whether work is done on a day."""
        self._check(day)
        return self._exceptions.get(day, day.weekday() < _SATURDAY)

    def after(self, day: date, count: int) -> date:
        """The working day that is the `count`-th after a day; the day itself when that is 0."""
        while count > 0:
            day += _DAY
            count -= self.is_working(day)
        return day

    def between(self, first: date, end: date) -> int:
        """How many working days there are from `first` to the day before `end`."""
        return sum(map(self.is_working, _days(first, end)))

    def _check(self, day: date) -> None:
        if not self._first_year <= day.year <= self._last_year:
            known = f"{self._first_year} to {self._last_year}"
            raise FailedPrecondition(
                f"the working days of {day.year} are not known, only those of {known}: "
                f"add its holidays to services/administration/{_FILE}"
            )


def _days(first: date, end: date) -> Iterable[date]:
    return (first + offset * _DAY for offset in range((end - first).days))


def _read() -> dict[date, bool]:
    rows = csv.DictReader(files(__package__).joinpath(_FILE).read_text("utf-8").splitlines())
    return {date.fromisoformat(row["day"]): row["kind"] == "working" for row in rows}


WORKING_DAYS: Final = WorkingDays(_read())
"""Those of public administration in Vietnam."""
