"""Notices: one for each happening, updated as it goes on, withdrawn when it ends, each in words of its own."""

from __future__ import annotations

import csv
from datetime import UTC, timedelta
from importlib.resources import files

import pytest

from lienthong.administration.v1 import (
    NOTICE_KIND_BAD_AIR,
    NOTICE_KIND_FLOOD,
    NOTICE_SEVERITY_INFO,
    NOTICE_SEVERITY_SEVERE,
    NOTICE_SEVERITY_WARNING,
    NOTICE_STATE_PUBLISHED,
    NOTICE_STATE_WITHDRAWN,
    NoticePublished,
    NoticeUpdated,
    NoticeWithdrawn,
)
from lienthong.environment.v1 import (
    BAND_BAD,
    BAND_HAZARDOUS,
    BAND_MODERATE,
    BAND_POOR,
    BAND_VERY_BAD,
    FLOOD_LEVEL_I,
    FLOOD_LEVEL_II,
    FLOOD_LEVEL_III,
    Band,
    FloodLevel,
)
from mesh.errors import NotFound
from services.administration.notice_texts import wording_for
from tests.unit.administration.notice_board import (
    AIR,
    HERE,
    NOW,
    PEER,
    PLACE,
    Board,
    bad_air,
    escalated,
    good_air,
    lifted,
    lowered,
    new_board,
    raised,
)


@pytest.fixture
def hue() -> Board:
    return new_board()


def test_a_flood_of_a_peer_is_told_here_with_the_name_of_its_locality(hue: Board):
    alarm = raised(1, FLOOD_LEVEL_III)

    hue.hears(alarm)

    notice = hue.notice()
    assert (notice.kind, notice.severity) == (NOTICE_KIND_FLOOD, NOTICE_SEVERITY_SEVERE)
    assert notice.headline == "Ái Nghĩa (sông Vu Gia), Đà Nẵng: báo động lũ cấp III"
    assert (notice.happening.origin, notice.happening.topic, notice.happening.key) == (
        PEER,
        "environment/flood_alarm",
        "ai-nghia",
    )
    assert (notice.location.latitude, notice.location.longitude) == (PLACE.latitude, PLACE.longitude)
    assert (notice.state, notice.revision, notice.causation_id) == (NOTICE_STATE_PUBLISHED, 1, alarm.id)
    assert notice.published_at.ToDatetime(UTC) == NOW


def test_a_flood_here_is_told_in_words_for_those_who_live_there(hue: Board):
    hue.hears(raised(1, FLOOD_LEVEL_II, HERE, station_id="kim-long", station_name="Kim Long", river="Hương"))

    assert hue.notice(HERE, key="kim-long").headline == "Báo động lũ cấp II tại Kim Long (sông Hương)"
    assert "di dời" in hue.notice(HERE, key="kim-long").text


def test_the_event_of_a_notice_tells_all_of_it(hue: Board):
    hue.hears(raised(1, FLOOD_LEVEL_I))

    [told] = hue.emitted.messages
    notice = hue.notice()
    assert told == NoticePublished(
        notice_id=notice.id,
        kind=notice.kind,
        severity=NOTICE_SEVERITY_INFO,
        happening=notice.happening,
        headline=notice.headline,
        text=notice.text,
        location=notice.location,
        revision=1,
        published_at=notice.published_at,
    )


def test_a_flood_that_rises_falls_and_ends_is_one_notice_updated_and_withdrawn(hue: Board):
    hue.hears(raised(1, FLOOD_LEVEL_I), escalated(2, FLOOD_LEVEL_III))
    hue.clock.advance(timedelta(hours=5))
    hue.hears(lowered(3, FLOOD_LEVEL_II), lifted(4))

    assert hue.said() == ["Published", "Updated", "Updated", "Withdrawn"]
    assert [told.revision for told in hue.emitted.messages] == [1, 2, 3, 4]
    assert [told.severity for told in hue.emitted.of(NoticeUpdated)] == [
        NOTICE_SEVERITY_SEVERE,
        NOTICE_SEVERITY_WARNING,
    ]
    notice = hue.notice()
    assert notice.state == NOTICE_STATE_WITHDRAWN
    assert notice.updated_at == notice.withdrawn_at
    assert hue.emitted.of(NoticeWithdrawn)[0].happening == notice.happening


def test_the_next_flood_publishes_the_same_notice_again(hue: Board):
    hue.hears(raised(1, FLOOD_LEVEL_I), escalated(2, FLOOD_LEVEL_II), lifted(3), raised(4, FLOOD_LEVEL_I))

    assert hue.said() == ["Published", "Updated", "Withdrawn", "Published"]
    notice = hue.notice()
    assert (notice.state, notice.revision) == (NOTICE_STATE_PUBLISHED, 4)
    assert not notice.HasField("withdrawn_at")
    assert not notice.HasField("updated_at")


def test_what_is_told_already_is_not_told_again(hue: Board):
    first = raised(1, FLOOD_LEVEL_II)

    hue.hears(first, raised(2, FLOOD_LEVEL_II))

    assert hue.said() == ["Published"]
    assert hue.notice().causation_id == first.id


def test_an_event_twice_or_too_late_does_nothing(hue: Board):
    hue.hears(raised(1, FLOOD_LEVEL_I), escalated(3, FLOOD_LEVEL_III), lowered(2, FLOOD_LEVEL_I))
    hue.hears(escalated(3, FLOOD_LEVEL_III), raised(1, FLOOD_LEVEL_I))

    assert hue.said() == ["Published", "Updated"]
    assert hue.notice().severity == NOTICE_SEVERITY_SEVERE


def test_an_end_that_comes_first_says_nothing_and_what_it_ended_is_not_told_after_it(hue: Board):
    hue.hears(lifted(2), raised(1, FLOOD_LEVEL_III))

    assert hue.said() == []
    assert list(hue.list().notices) == []
    with pytest.raises(NotFound):
        hue.notice()


@pytest.mark.parametrize("river", ["", "Vu Gia"])
def test_a_withheld_name_of_a_station_leaves_its_locality(hue: Board, river: str):
    hue.hears(raised(1, FLOOD_LEVEL_III, station_name="", river=river))

    assert hue.notice().headline == "Đà Nẵng: báo động lũ cấp III"


def test_an_alert_that_names_no_place_is_told_of_the_locality(hue: Board):
    hue.hears(bad_air(1, BAND_BAD, station_name="", location=None))

    notice = hue.notice(HERE, AIR, "hung-vuong")
    assert notice.headline == "Chất lượng không khí tại Huế: Xấu"
    assert not notice.HasField("location")


@pytest.mark.parametrize(
    ("band", "severity"),
    [
        (BAND_MODERATE, NOTICE_SEVERITY_INFO),
        (BAND_POOR, NOTICE_SEVERITY_INFO),
        (BAND_BAD, NOTICE_SEVERITY_WARNING),
        (BAND_VERY_BAD, NOTICE_SEVERITY_SEVERE),
        (BAND_HAZARDOUS, NOTICE_SEVERITY_SEVERE),
    ],
)
def test_bad_air_is_told_as_severely_as_its_band(hue: Board, band: int, severity: int):
    """MODERATE too: road works near a station lower its alert level."""
    hue.hears(bad_air(1, band))

    notice = hue.notice(HERE, AIR, "hung-vuong")
    assert (notice.kind, notice.severity) == (NOTICE_KIND_BAD_AIR, severity)
    assert "Hùng Vương" in notice.headline


def test_bad_air_that_clears_withdraws_its_notice(hue: Board):
    hue.hears(bad_air(1, BAND_POOR), bad_air(2, BAND_BAD), good_air(3))

    assert hue.said() == ["Published", "Updated", "Withdrawn"]


def test_a_flood_and_bad_air_at_one_place_are_two_notices(hue: Board):
    hue.hears(bad_air(1, BAND_BAD), raised(1, FLOOD_LEVEL_I, HERE, station_id="hung-vuong"))
    hue.hears(good_air(2))

    assert [notice.kind for notice in hue.list(state=NOTICE_STATE_PUBLISHED).notices] == [NOTICE_KIND_FLOOD]


def test_notices_are_listed_by_page_state_kind_and_origin(hue: Board):
    for i in range(4):
        hue.hears(raised(1, FLOOD_LEVEL_I, station_id=f"s{i}"))
    hue.hears(bad_air(1, BAND_BAD), lifted(2, station_id="s0"), lifted(1, station_id="never-told"))

    first = hue.list(page_size=3)
    second = hue.list(page_size=3, page_token=first.next_page_token)

    listed = [notice.id for notice in (*first.notices, *second.notices)]
    assert listed == sorted(set(listed))
    assert len(listed) == 5
    assert second.next_page_token == ""
    assert [n.happening.key for n in hue.list(state=NOTICE_STATE_WITHDRAWN).notices] == ["s0"]
    assert [n.happening.key for n in hue.list(kind=NOTICE_KIND_BAD_AIR).notices] == ["hung-vuong"]
    assert len(hue.list(origin=PEER, state=NOTICE_STATE_PUBLISHED).notices) == 3


def test_every_level_of_the_contracts_has_words_with_a_source():
    lines = files("services.administration").joinpath("notice_texts.csv").read_text("utf-8").splitlines()
    rows = list(csv.DictReader(lines))

    told = {(row["kind"], row["whose"], int(row["level"])) for row in rows}
    floods = {("FLOOD", whose, level) for whose in ("own", "peer") for level in FloodLevel.values()}
    assert told == floods | {("BAD_AIR", "own", band) for band in Band.values()}
    assert len(told) == len(rows)
    assert all(row["source"] and "{place}" in row["headline"] and "{place}" in row["text"] for row in rows)


@pytest.mark.parametrize("is_own", [True, False])
def test_a_level_of_a_later_contract_is_told_in_general_words(is_own: bool):
    assert wording_for(NOTICE_KIND_FLOOD, 4, is_own=is_own) == wording_for(NOTICE_KIND_FLOOD, 0, is_own=is_own)


def test_no_place_is_taken_for_a_placeholder():
    """A name is put in as it is: braces of a station's name mean nothing."""
    assert wording_for(NOTICE_KIND_FLOOD, FLOOD_LEVEL_I).at("{0}").headline == "Báo động lũ cấp I tại {0}"
