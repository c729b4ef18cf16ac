"""Localities and the units they came from."""

import pytest

from mesh import localities


def test_there_are_thirty_four_and_a_hub() -> None:
    """The decision names 34 units; `national` is a node besides them."""
    assert len(localities.localities()) == 34
    assert len(set(localities.slugs())) == 35
    assert localities.NATIONAL in localities.slugs()


def test_codes_are_zero_padded_text() -> None:
    """`01` is a code, 1 is not."""
    assert all(len(locality.code) == 2 and locality.code.isdigit() for locality in localities.localities())
    assert localities.of_code("01").slug == "ha-noi"


def test_a_locality_is_found_by_slug_and_code() -> None:
    """Both ways lead to the same locality."""
    da_nang = localities.of_slug("da-nang")

    assert da_nang is localities.of_code("48")
    assert (da_nang.name, da_nang.type, da_nang.phone_prefix) == ("Đà Nẵng", "city", "236")


def test_a_former_unit_resolves_forward() -> None:
    """Bình Dương (74) is part of Hồ Chí Minh (79) now."""
    assert localities.of_legacy_code("74").slug == "ho-chi-minh"


def test_a_code_that_changed_its_name_is_read_as_of_its_time() -> None:
    """44 was Quảng Bình and is Quảng Trị: as a legacy code it resolves, whatever it names today."""
    assert localities.of_legacy_code("45").slug == "quang-tri"
    assert localities.of_legacy_code("44").slug == "quang-tri"


@pytest.mark.parametrize("lookup", [localities.of_slug, localities.of_code, localities.of_legacy_code])
def test_an_unknown_name_is_refused(lookup: object) -> None:
    """Nothing is guessed."""
    with pytest.raises(KeyError):
        lookup("atlantis")  # type: ignore[operator]


def test_every_former_unit_became_part_of_one_of_today() -> None:
    """63 units before, each with a successor."""
    successors = localities._successors()

    assert len(successors) == 63
    assert set(successors.values()) == {locality.code for locality in localities.localities()}
