"""Congestion: good rows are kept, each bad one is named, and a place's hours come back in order."""

from __future__ import annotations

from typing import Any

import pytest

from lienthong.transport import v1
from services.transport.congestion import slug_of
from tests.unit.transport.roads import Roads, at

HERE, FORMER, ABROAD = "48", "49", "79"


def sample(hour: float = 0, congestion: float = 0.5, **given: Any) -> v1.Congestion:
    given = {"province_code": HERE, "samples": 12, "coverage": 0.75, **given}
    return v1.Congestion(hour=at(hour), congestion=congestion, **given)


def record(roads: Roads, *samples: v1.Congestion) -> v1.CongestionOutcome:
    return roads.call("record_congestion", samples=samples).outcome


def rejected(outcome: v1.CongestionOutcome) -> list[tuple[int, str, str]]:
    return [(row.index, row.field, row.rule) for row in outcome.rejected]


def listed(roads: Roads, **request: Any) -> list[tuple[int, str]]:
    """What a list shows, as (hour after midnight, province code)."""
    samples = roads.call("list_congestion", **request).samples
    return [((one.hour.seconds - at(0).seconds) // 3600, one.province_code) for one in samples]


def test_a_sample_comes_back_as_it_was_recorded(roads: Roads) -> None:
    given = sample(3, 0.87)

    outcome = record(roads, given)

    assert (outcome.rows, outcome.accepted, outcome.duplicate) == (1, 1, 0)
    assert list(roads.call("list_congestion").samples) == [given]


def test_good_rows_are_kept_and_each_bad_one_is_named(roads: Roads) -> None:
    outcome = record(
        roads,
        sample(0),
        sample(1, 1.5),
        sample(2.5),
        sample(3, province_code=ABROAD),
        sample(4, segment_id="nowhere"),
        sample(5, province_code="99"),
        sample(60),
        v1.Congestion(province_code=HERE, congestion=0.1),
        sample(6),
    )

    assert rejected(outcome) == [
        (1, "congestion", "lte"),
        (2, "hour", "start_of_hour"),
        (3, "province_code", "other_locality"),
        (4, "segment_id", "NOT_FOUND"),
        (5, "province_code", "other_locality"),
        (6, "hour", "not_in_future"),
        (7, "hour", "required"),
    ]
    assert (outcome.rows, outcome.accepted) == (9, 2)


def test_the_same_place_and_hour_is_a_duplicate_whatever_it_says(roads: Roads) -> None:
    record(roads, sample(0, 0.5))

    outcome = record(roads, sample(0, 0.9), sample(1), sample(1, 0.9))

    assert (outcome.accepted, outcome.duplicate) == (1, 2)
    assert [one.congestion for one in roads.call("list_congestion").samples] == [0.5, 0.5]


def test_a_code_of_before_the_merger_counts_for_what_it_has_become_and_is_kept(roads: Roads) -> None:
    """Quảng Nam, 49, became part of Đà Nẵng, 48: two samples of one hour, by province code."""
    outcome = record(roads, sample(1, province_code=FORMER), sample(1), sample(0, province_code=FORMER))

    assert outcome.accepted == 3
    assert listed(roads) == [(0, FORMER), (1, HERE), (1, FORMER)]
    assert listed(roads, province_code=FORMER) == [(0, FORMER), (1, FORMER)]


def test_a_segment_has_congestion_of_its_own(roads: Roads) -> None:
    record(roads, sample(0), sample(0, segment_id="low"), sample(1, segment_id="low", province_code=FORMER))

    assert listed(roads) == [(0, HERE)]
    assert listed(roads, segment_id="low") == [(0, HERE), (1, FORMER)]


def test_a_list_can_be_of_some_hours_only(roads: Roads) -> None:
    record(roads, *(sample(hour) for hour in range(6)))

    assert listed(roads, **{"from": at(1.5), "until": at(4)}) == [(2, HERE), (3, HERE)]
    assert listed(roads, **{"from": at(2), "until": at(4.5)}) == [(2, HERE), (3, HERE), (4, HERE)]


def test_a_list_comes_by_page_also_between_two_codes_of_one_hour(roads: Roads) -> None:
    record(roads, *(sample(hour, province_code=code) for hour in range(3) for code in (FORMER, HERE)))

    found, token = [], ""
    for _ in range(2):
        page = roads.call("list_congestion", page_size=3, page_token=token)
        found += [(one.hour.seconds, one.province_code) for one in page.samples]
        token = page.next_page_token

    assert token == ""
    assert found == sorted(found)
    assert len(found) == 6


def test_a_batch_on_a_stream_is_answered_by_its_own_id(roads: Roads) -> None:
    answer = roads.call("stream_congestion", request_id="batch-7", samples=[sample(0)])

    assert (answer.request_id, answer.outcome.accepted) == ("batch-7", 1)


@pytest.mark.parametrize(
    ("code", "slug"), [("48", "da-nang"), ("49", "da-nang"), ("74", "ho-chi-minh"), ("79", "ho-chi-minh"), ("00", "")]
)
def test_codes_resolve_forward(code: str, slug: str) -> None:
    assert slug_of(code) == slug
