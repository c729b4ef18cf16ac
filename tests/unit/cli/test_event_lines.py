"""One event, one line that a person can read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from lienthong.environment.v1 import BAND_VERY_BAD, AirQualityAlertRaised
from mesh.cli.event_lines import event_json, event_line, said_by
from mesh.events import Event, new_event

AT = datetime(2026, 11, 12, 3, tzinfo=UTC)


def raised() -> Event:
    stamp = Timestamp()
    stamp.FromDatetime(AT)
    alert = AirQualityAlertRaised(
        station_id="hai-chau", station_name="Hải Châu", band=BAND_VERY_BAD, index=212, raised_at=stamp
    )
    return new_event(alert, source="/da-nang/environment", time=AT)


def test_a_line_says_where_it_happened_and_what() -> None:
    """Numbers say what they are; words speak for themselves."""
    line = event_line(raised(), "da-nang").plain

    assert "da-nang  " in line
    assert "→" not in line
    assert "AirQualityAlertRaised" in line
    assert "hai-chau" in line
    assert line.rstrip().endswith("Hải Châu · very bad · index 212 · 12 Nov 03:00")


def test_an_event_seen_in_another_locality_has_crossed() -> None:
    """The arrow is what one looks for."""
    assert "da-nang → hue" in event_line(raised(), "hue").plain


def test_a_line_ends_its_id_so_that_its_story_can_be_asked_for() -> None:
    """The last digits of a UUIDv7 are random; the first ones are the time."""
    event = raised()

    assert event.id[-6:] in event_line(event, "hue").plain


def test_programs_get_everything() -> None:
    """Envelope and message."""
    shown = event_json(raised(), "hue")

    assert (shown["locality"], shown["origin"], shown["key"]) == ("hue", "da-nang", "hai-chau")
    assert shown["message"]["index"] == 212


def test_an_event_of_an_unknown_type_is_still_a_line() -> None:
    """A newer neighbour may send what this installation has no contract for."""
    assert said_by(replace(raised(), type="lienthong.future.v1.Unknown"))
