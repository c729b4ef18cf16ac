"""Working days of 2026 and 2027, and what is asked of them."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import FailedPrecondition
from services.administration.working_days import WORKING_DAYS

days = st.dates(date(2026, 1, 1), date(2027, 6, 30))
counts = st.integers(0, 60)


def working(first: date, last: date) -> list[date]:
    span = (last - first).days + 1
    return [day for day in (first + timedelta(offset) for offset in range(span)) if WORKING_DAYS.is_working(day)]


def test_an_ordinary_week_has_five_working_days():
    assert [day.day for day in working(date(2026, 11, 9), date(2026, 11, 15))] == [9, 10, 11, 12, 13]


def test_tet_2026_is_nine_days_with_its_weekends():
    assert working(date(2026, 2, 14), date(2026, 2, 22)) == []
    assert WORKING_DAYS.is_working(date(2026, 2, 13))
    assert WORKING_DAYS.is_working(date(2026, 2, 23))


def test_a_saturday_is_worked_for_the_friday_after_new_year():
    assert not WORKING_DAYS.is_working(date(2026, 1, 2))
    assert WORKING_DAYS.is_working(date(2026, 1, 10))


def test_national_day_2026_is_five_days_for_a_saturday_worked():
    assert working(date(2026, 8, 29), date(2026, 9, 2)) == []
    assert WORKING_DAYS.is_working(date(2026, 8, 22))


def test_a_holiday_on_a_sunday_frees_the_monday():
    """Hùng Kings' day of 2026."""
    assert not WORKING_DAYS.is_working(date(2026, 4, 27))


def test_tet_2027_frees_two_days_for_its_weekend():
    assert working(date(2027, 2, 5), date(2027, 2, 11)) == []
    assert WORKING_DAYS.is_working(date(2027, 2, 4))
    assert WORKING_DAYS.is_working(date(2027, 2, 12))


@pytest.mark.parametrize("year", [2026, 2027])
def test_every_holiday_frees_one_day_of_a_working_week(year: int):
    """The 11 of the Labour Code and Culture Day, or a day in lieu of each; days swapped cancel out."""
    weekdays = [day for day in all_days(year) if day.weekday() < 5]

    assert len(weekdays) - sum(map(WORKING_DAYS.is_working, all_days(year))) == 12


def all_days(year: int) -> list[date]:
    return [date(year, 1, 1) + timedelta(offset) for offset in range(365)]


def rows() -> list[dict[str, str]]:
    text = files("services.administration").joinpath("holidays.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_every_exception_names_its_source_and_is_named_once():
    found = rows()

    assert all(row["source"] and row["kind"] in ("off", "working") for row in found)
    assert [row["day"] for row in found] == sorted({row["day"] for row in found})


def test_only_saturdays_and_sundays_are_worked_by_exception():
    worked = [date.fromisoformat(row["day"]) for row in rows() if row["kind"] == "working"]

    assert all(day.weekday() > 4 for day in worked)


def test_days_are_counted_over_a_long_weekend():
    """From Friday, 24 April: Monday is in lieu, Thursday and Friday are holidays."""
    assert WORKING_DAYS.after(date(2026, 4, 24), 3) == date(2026, 5, 4)
    assert WORKING_DAYS.between(date(2026, 4, 24), date(2026, 5, 4)) == 3


def test_a_day_beyond_the_calendar_names_the_file_to_extend():
    with pytest.raises(FailedPrecondition, match=r"2028.*services/administration/holidays\.csv"):
        WORKING_DAYS.after(date(2027, 12, 30), 3)


def test_a_day_before_the_calendar_is_refused_too():
    with pytest.raises(FailedPrecondition, match="2025"):
        WORKING_DAYS.between(date(2025, 12, 31), date(2026, 1, 5))


@given(days, st.integers(1, 60))
def test_counting_on_ends_on_a_working_day(day: date, count: int):
    assert WORKING_DAYS.is_working(WORKING_DAYS.after(day, count))


@given(days, counts)
def test_as_many_days_lie_between_as_were_counted(day: date, count: int):
    end = WORKING_DAYS.after(day, count)
    tomorrow = timedelta(1)

    assert WORKING_DAYS.between(day + tomorrow, end + tomorrow) == count


@given(days, counts, counts)
def test_counting_in_two_goes_is_counting_in_one(day: date, first: int, second: int):
    in_two = WORKING_DAYS.after(WORKING_DAYS.after(day, first), second)

    assert in_two == WORKING_DAYS.after(day, first + second)
