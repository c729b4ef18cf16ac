"""Codes of agencies, procedures and cases."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import InvalidArgument
from services.administration.agency_code import agency_code
from services.administration.documents import CaseNumber
from services.administration.procedures import procedure_code, procedure_of
from tests.unit.administration.case_desk import new_case_desk

CASE_CODE = re.compile(r"[A-Z0-9]{2,3}(\.[A-Z0-9]{2,3}){0,4}-\d{6}-\d{4,7}")
"""As the national portal has it."""

roots = st.from_regex(r"[A-Z][0-9]{2}", fullmatch=True)
parts = st.lists(st.from_regex(r"[0-9]{2,3}", fullmatch=True).filter(lambda part: part.strip("0")), max_size=4)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("H17", "H17"),
        ("H15.50.05.13", "H15.50.05.13"),
        ("000.00.00.H17", "H17"),
        ("000.00.01.H17", "H17.01"),
        ("001.02.05.H17", "H17.05.02.001"),
    ],
)
def test_an_agency_has_one_code_whichever_form_it_comes_in(given: str, code: str):
    assert agency_code(given, "agency_code") == code


@pytest.mark.parametrize("given", ["", "H1", "000.00.00", "17.H", "H17.", "H17.0001", "H17.01.02.03.04.05", "h17"])
def test_what_names_no_ministry_or_locality_is_no_agency(given: str):
    with pytest.raises(InvalidArgument) as refused:
        agency_code(given, "received_by")

    assert [(row.field, row.rule) for row in refused.value.violations] == [("received_by", "agency")]


@given(roots, parts)
def test_the_older_form_is_the_newer_one_reversed(root: str, below: list[str]):
    code = ".".join([root, *below])
    older = ".".join([*(["000"] if len(below) < 4 else []), *reversed(below), root])

    assert agency_code(code, "agency_code") == agency_code(older, "agency_code") == code


def test_a_procedure_is_known_with_and_without_an_agency():
    assert procedure_code("1.004194.000.00.00.H17") == procedure_code("1.004194") == "1.004194"
    assert procedure_of("1.004194").working_days == 3
    assert procedure_of("9.999999") is None


def test_a_case_code_tells_agency_day_and_number():
    desk = new_case_desk().on("2026-10-08")

    first = desk.file(received_by="H15.50.05.13")
    second = desk.file(received_by="H15.50.05.13")

    assert first.code == "H15.50.05.13-261008-0001"
    assert second.code == "H15.50.05.13-261008-0002"
    assert CASE_CODE.fullmatch(first.code)


def test_numbers_are_counted_by_agency_and_day():
    desk = new_case_desk().on("2026-10-08")
    desk.file()

    elsewhere = desk.file(received_by="H17.02")
    tomorrow = desk.on("2026-10-09").file()

    assert (elsewhere.code, tomorrow.code) == ("H17.02-261008-0001", "H17.01-261009-0001")


def test_the_day_is_that_of_filing_here_where_it_begins_earlier_than_in_utc():
    filed_at = datetime(2026, 11, 7, 17, 30, tzinfo=UTC)

    case = new_case_desk().file(filed_at=filed_at)

    assert case.code == "H17.01-261108-0001"


def test_numbers_go_on_when_four_digits_are_out():
    desk = new_case_desk()
    desk.store.put(CaseNumber(id="H17.01|261109", last=9999))

    assert desk.file().code == "H17.01-261109-10000"
