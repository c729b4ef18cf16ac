"""How far things are from each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.geometry import METRES_PER_DEGREE, Place, metres_between, metres_to_line

DA_NANG = Place(16.0544, 108.2022)
HUE = Place(16.4637, 107.5909)

near_da_nang = st.builds(Place, st.floats(15.9, 16.2), st.floats(108.0, 108.4))


def test_da_nang_is_80_km_from_hue() -> None:
    """79 558 m by the haversine formula."""
    assert metres_between(DA_NANG, HUE) == pytest.approx(79_558, rel=0.001)


def test_a_place_beside_a_line_is_as_far_as_the_line_passes_it() -> None:
    north_south = [Place(16.0, 108.2), Place(16.1, 108.2)]

    assert metres_to_line(Place(16.05, 108.2), north_south) == pytest.approx(0, abs=0.01)
    assert metres_to_line(Place(16.2, 108.2), north_south) == pytest.approx(0.1 * METRES_PER_DEGREE)


def test_a_line_of_one_point_is_that_point() -> None:
    assert metres_to_line(DA_NANG, [HUE]) == metres_between(DA_NANG, HUE)
    assert metres_to_line(DA_NANG, [HUE, HUE]) == metres_between(DA_NANG, HUE)


def test_across_the_date_line_the_short_way_counts() -> None:
    assert metres_between(Place(0, 179.9), Place(0, -179.9)) == pytest.approx(0.2 * METRES_PER_DEGREE)


@given(near_da_nang, st.lists(near_da_nang, min_size=2, max_size=8))
def test_no_point_of_a_line_is_nearer_than_the_line(place: Place, line: list[Place]) -> None:
    assert metres_to_line(place, line) <= min(metres_between(place, point) for point in line) + 1e-6


@given(near_da_nang, near_da_nang)
def test_the_way_back_is_as_long(one: Place, other: Place) -> None:
    assert metres_between(one, other) == pytest.approx(metres_between(other, one))
