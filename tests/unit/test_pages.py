"""Pages of a list: how they are cut, and when there is a next one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import InvalidArgument
from mesh.pages import foreign_token, page


def test_a_page_that_is_not_the_last_names_where_the_next_begins() -> None:
    """The token is made of the last entry shown, not of the one behind it."""
    assert page([3, 5, 8], 2, str) == ([3, 5], "5")


def test_the_last_page_has_no_token() -> None:
    """Also when it is full, and when there is nothing at all."""
    assert page([3, 5], 2, str) == ([3, 5], "")
    assert page([], 2, str) == ([], "")


@given(st.sets(st.integers()), st.integers(1, 10))
def test_all_pages_together_are_the_list(entries: set[int], size: int) -> None:
    """Whatever the size, each entry is shown once and in order, and no page is empty but that of an empty list."""
    left, shown = sorted(entries), []
    while True:
        cut, token = page(left[: size + 1], size, str)
        shown += cut
        if not token:
            break
        left = [entry for entry in left if entry > int(token)]

    assert shown == sorted(entries)


def test_a_foreign_token_is_refused_by_the_name_of_its_field() -> None:
    """The answer says which field is wrong and what it expects."""
    with pytest.raises(InvalidArgument, match="page_token"):
        raise foreign_token()
