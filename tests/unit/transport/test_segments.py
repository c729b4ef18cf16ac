"""Segments: put, got, listed, found by place, and refused when their line is none."""

from __future__ import annotations

import pytest

from lienthong.transport import v1
from mesh.errors import InvalidArgument, NotFound
from tests.unit.transport.happenings import flood_lowered, flood_raised
from tests.unit.transport.roads import GAUGE, Roads, east, life, new_roads, segment


def _ids(response: v1.ListRoadSegmentsResponse | v1.FindRoadSegmentsResponse) -> list[str]:
    return [one.id for one in response.segments]


def _circle(radius_m: float) -> v1.Circle:
    return v1.Circle(center=v1.Location(latitude=GAUGE.latitude, longitude=GAUGE.longitude), radius_m=radius_m)


def _line(*places: tuple[float, float]) -> v1.RoadSegment:
    points = [v1.Location(latitude=latitude, longitude=longitude) for latitude, longitude in places]
    return v1.RoadSegment(id="odd", name="odd", line=v1.LineString(points=points))


def test_a_segment_comes_back_as_it_was_put(roads: Roads) -> None:
    given = segment("bridge", 300)
    given.capacity_per_h, given.commune_code = 1800, "20194"

    answered = roads.call("put_road_segment", segment=given).segment

    assert answered == given
    assert roads.call("get_road_segment", segment_id="bridge").segment == given


def test_a_segment_put_again_is_replaced(roads: Roads) -> None:
    roads.put(segment("low", 4000, flood_prone=False))

    assert roads.call("get_road_segment", segment_id="low").segment == segment("low", 4000, flood_prone=False)


def test_a_segment_there_never_was_is_not_found(roads: Roads) -> None:
    with pytest.raises(NotFound):
        roads.call("get_road_segment", segment_id="nowhere")


def test_several_come_by_id_and_the_others_are_named(roads: Roads) -> None:
    answer = roads.call("get_road_segments", segment_ids=["zebra", "low", "high", "low", "anywhere"])

    assert _ids(answer) == ["high", "low"]
    assert list(answer.missing) == ["anywhere", "zebra"]


@pytest.mark.parametrize(
    "line",
    [
        [(15.88, 108.11), (15.88, 108.11)],
        [(15.88, 108.11), (108.12, 15.88)],
        [(15.88, 108.11), (17.0, 108.11)],
        [(0, 0), (0, 180)],
    ],
    ids=["one place twice", "latitude for longitude", "too long a stretch", "opposite ends of the Earth"],
)
def test_what_is_no_stretch_of_road_is_refused(roads: Roads, line: list[tuple[float, float]]) -> None:
    with pytest.raises(InvalidArgument) as refused:
        roads.call("put_road_segment", segment=_line(*line))

    assert [violation.field for violation in refused.value.violations] == ["segment.line.points"]


def test_a_line_may_rest_at_a_place(roads: Roads) -> None:
    rests = _line((15.88, 108.11), (15.88, 108.11), (15.88, 108.12))

    assert roads.call("put_road_segment", segment=rests).segment == rests


def test_lists_go_by_id_and_by_page(roads: Roads) -> None:
    first = roads.call("list_road_segments", page_size=2)
    second = roads.call("list_road_segments", page_size=2, page_token=first.next_page_token)

    assert (_ids(first), _ids(second)) == (["high", "low"], ["remote"])
    assert second.next_page_token == ""


def test_lists_can_be_of_what_goes_under_water(roads: Roads) -> None:
    assert _ids(roads.call("list_road_segments", flood_prone_only=True)) == ["low", "remote"]


@pytest.mark.parametrize(
    ("radius_m", "ids"), [(50, []), (150, ["low"]), (2050, ["high", "low"]), (25_000, ["high", "low", "remote"])]
)
def test_a_circle_finds_what_it_touches(roads: Roads, radius_m: float, ids: list[str]) -> None:
    assert _ids(roads.call("find_road_segments", within=_circle(radius_m))) == ids


def test_a_circle_may_ask_for_what_goes_under_water_only(roads: Roads) -> None:
    found = roads.call("find_road_segments", within=_circle(5000), flood_prone_only=True)

    assert _ids(found) == ["low"]


def test_what_a_circle_finds_comes_by_page() -> None:
    roads = new_roads(segment(f"s{n}", 100 * n) for n in (3, 1, 2, 5, 4))

    first = roads.call("find_road_segments", within=_circle(5000), page_size=3)
    second = roads.call("find_road_segments", within=_circle(5000), page_size=3, page_token=first.next_page_token)

    assert (_ids(first), _ids(second)) == (["s1", "s2", "s3"], ["s4", "s5"])


def test_a_restriction_keeps_the_line_it_was_imposed_with_until_its_happening_changes(roads: Roads) -> None:
    raised, lowered = life(flood_raised(3), flood_lowered())
    moved = segment("low", 250)
    roads.hear(raised)
    roads.put(moved)

    [before] = roads.restrictions()
    roads.hear(lowered)
    [after] = roads.restrictions()

    assert before.segments[0].line == segment("low", 100).line
    assert after.segments[0].line == moved.line
    assert east(250).longitude == after.segments[0].line.points[0].longitude
