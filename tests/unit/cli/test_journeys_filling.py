"""Times are told from now, and names stand for what was kept."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mesh.cli.journeys_filling import filled

NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("now", "2026-11-23T08:30:00+00:00"),
        ("now-1h", "2026-11-23T07:30:00+00:00"),
        ("now-4h40m", "2026-11-23T03:50:00+00:00"),
        ("now+14d", "2026-12-07T08:30:00+00:00"),
        ("now-90s", "2026-11-23T08:28:30+00:00"),
    ],
)
def test_a_time_is_told_from_now(written: str, time: str) -> None:
    """Days, hours, minutes and seconds, one after the other."""
    assert filled(written, {}, NOW) == time


@pytest.mark.parametrize("text", ["nowhere", "now-1", "now 1h", "until now"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    """A word that begins like a time is none."""
    assert filled(text, {}, NOW) == text


def test_names_are_replaced_wherever_they_stand() -> None:
    """In lists and mappings too; numbers and truths stay."""
    written = {"stations": [{"id": "st-{run}", "stage_m": 6.5, "flood_prone": True}], "permit_id": "{permit}"}

    given = filled(written, {"run": "a1", "permit": "p-7"}, NOW)

    assert given == {"stations": [{"id": "st-a1", "stage_m": 6.5, "flood_prone": True}], "permit_id": "p-7"}


def test_a_name_that_is_not_known_is_told() -> None:
    """By itself, for whoever writes the complaint."""
    with pytest.raises(KeyError) as unknown:
        filled("{permit}", {"run": "a1"}, NOW)

    assert unknown.value.args == ("permit",)
