"""Pages of a list: how they are cut, and when there is a next one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mongoengine import BooleanField, StringField

from lienthong.localities.v1 import ListLocalitiesRequest
from mesh import Document
from mesh.errors import InvalidArgument
from mesh.pages import foreign_token, page, page_by, page_by_id, page_in_memory
from mesh.pages import given as said_by
from mesh.testing import MemoryStore


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


@given(st.lists(st.integers()), st.integers(1, 10))
def test_all_pages_of_a_list_in_memory_together_are_the_list(entries: list[int], size: int) -> None:
    """The token of each leads to the next, and there is none after the last."""
    request, shown = ListLocalitiesRequest(page_size=size), []
    while True:
        cut, request.page_token = page_in_memory(entries, request)
        shown += cut
        if not request.page_token:
            break

    assert shown == entries


@pytest.mark.parametrize("token", ["-1", "x", "1.5", "9" * 5000])
def test_a_list_in_memory_refuses_a_foreign_token(token: str) -> None:
    """It is the caller who is wrong, and the answer names the field."""
    with pytest.raises(InvalidArgument, match="page_token"):
        page_in_memory([1, 2], ListLocalitiesRequest(page_token=token))


class Shelf(Document):
    """Has an id and another order."""

    id, place, is_full = StringField(primary_key=True), StringField(), BooleanField(default=False)


def test_documents_come_by_id_or_by_another_field() -> None:
    """A page's token is the last value of what they are ordered by; filters are those of a query."""
    store = MemoryStore()
    for id, place in [("a", "3"), ("b", "1"), ("c", "2")]:
        store.put(Shelf(id=id, place=place, is_full=id != "a"))
    request = ListLocalitiesRequest(page_size=2)

    by_id, id_token = page_by_id(store, Shelf, request)
    by_place, place_token = page_by("place", store, Shelf, request)
    full, no_token = page_by_id(store, Shelf, request, is_full=True)

    assert ([shelf.id for shelf in by_id], id_token) == (["a", "b"], "b")
    assert ([shelf.id for shelf in by_place], place_token) == (["b", "c"], "2")
    assert ([shelf.id for shelf in full], no_token) == (["b", "c"], "")


def test_a_filter_that_says_nothing_asks_for_all() -> None:
    """Empty text, 0, which is UNSPECIFIED, and false."""
    assert said_by(state=2, origin="", kind=0, flood_prone=False) == {"state": 2}


def test_a_foreign_token_is_refused_by_the_name_of_its_field() -> None:
    """The answer says which field is wrong and what it expects."""
    with pytest.raises(InvalidArgument, match="page_token"):
        raise foreign_token()
