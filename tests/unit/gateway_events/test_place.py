"""Cursors: opaque, checked, of one locality."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.events.place import Places, place_text, positions_of
from mesh.errors import InvalidArgument

services = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)


@given(st.dictionaries(services, st.integers(0, 10**17), max_size=8))
def test_a_cursor_says_what_was_put_into_it(positions: dict[str, int]) -> None:
    assert positions_of(place_text("da-nang", positions), "da-nang") == positions


@given(st.text(max_size=60))
def test_no_other_text_is_a_cursor(text: str) -> None:
    with pytest.raises(InvalidArgument):
        positions_of(text, "da-nang")


def test_a_cursor_with_a_changed_letter_is_none() -> None:
    text = place_text("da-nang", {"health": 17})

    for at in range(len(text)):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(InvalidArgument, match="cursor"):
            positions_of(changed, "da-nang")


def test_a_cursor_of_another_locality_is_refused_by_name() -> None:
    with pytest.raises(InvalidArgument, match="of hue, not of da-nang"):
        positions_of(place_text("hue", {}), "da-nang")


def test_a_service_that_came_later_has_no_position() -> None:
    text = Places("da-nang", ["health"]).text([3])

    assert Places("da-nang", ["environment", "health"]).positions(text) == (None, 3)
