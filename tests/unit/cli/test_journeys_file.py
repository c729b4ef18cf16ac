"""A file of journeys is judged whole before anything is done, with file, line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mesh.cli.exits import UsageError
from mesh.cli.journeys_file import Journeys, read_journeys

EXAMPLES = Path(__file__).parents[3] / "examples"
FILE = """\
journeys:
  - title: Road works
    prepare:
      - at: da-nang
        call: administration.ApplyForPermit
        request:
          {kind: PERMIT_KIND_ROAD_WORKS, title: Works, segment_ids: [s-1], from: now, until: now+1d, applicant_ref: x}
        keep: {permit: permit.id}
    views:
      restriction:
        at: [da-nang, hue]
        call: transport.ListRestrictions
        where: {caused_by.key: "{permit}"}
        show: [segments.name, effect]
    steps:
      - title: It is granted
        at: da-nang
        call: administration.GrantPermit
        request: {permit_id: "{permit}"}
        events:
          da-nang: [PermitGranted, RoadRestrictionImposed]
        stands: {restriction: 1}
"""


def read(folder: Path, text: str = FILE) -> Journeys:
    file = folder / "works.yaml"
    file.write_text(text, encoding="utf-8")
    return read_journeys(file)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as refused:
        read(folder, text)
    return str(refused.value)


def test_the_bundled_journeys_can_be_walked() -> None:
    """Three, in the localities that `make run` starts, with their roads."""
    found = read_journeys(EXAMPLES / "journeys.yaml")

    assert len(found.journeys) == 3
    assert set().union(*(journey.localities for journey in found.journeys)) == {
        "da-nang",
        "hue",
        "ha-noi",
        "quang-ninh",
    }
    assert {road.locality for road in found.roads} == {"da-nang", "ha-noi"}


def test_a_journey_is_read(tmp_path: Path) -> None:
    """With what is left open still open."""
    [journey] = read(tmp_path).journeys

    assert journey.localities == {"da-nang", "hue"}
    assert journey.steps[0].request == {"permit_id": "{permit}"}
    assert journey.views["restriction"].at == ["da-nang", "hue"]


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        (
            "title: It",
            "titel: It",
            "journeys[0].steps[0].titel: is not a key here; the keys are at, call, request, keep",
        ),
        ("      - title: It is granted\n        at", "      - at", "journeys[0].steps[0].title: is missing"),
        (
            "at: da-nang\n        call: administration.G",
            "at: danang\n        call: administration.G",
            "no locality danang",
        ),
        ("administration.GrantPermit", "administration.Grant", "(works.yaml line 18)"),
        (
            "administration.GrantPermit",
            "admin.GrantPermit",
            "steps[0].call: lienthong.admin.v1.AdminService: no installed",
        ),
        ("{permit_id:", "{permit:", "steps[0].request: the request is no GrantPermitRequest"),
        ("request: {permit_id: ", "request: {permit_id: '', request_id: ", "steps[0].request: permit_id: "),
        ('request: {permit_id: "{permit}"}', 'request: {permit_id: "{permits}"}', "nothing is kept as permits before"),
        ("permit: permit.id", "permit: permit.ids", "prepare[0].keep.permit: Permit has no field ids"),
        ("RoadRestrictionImposed", "RoadClosed", "events.da-nang[1]: no installed contract has an event RoadClosed"),
        ("          da-nang: [", "          danang: [", "events.danang: there is no locality danang"),
        (
            "stands: {restriction: 1}",
            "stands: {notice: 1}",
            "stands.notice: there is no such view; there are restriction",
        ),
        ("stands: {restriction: 1}", "stands: {restriction: -1}", "stands.restriction: Input should be greater than"),
        ("transport.ListRestrictions", "transport.GetRoadSegment", "views.restriction.call: "),
        ("segments.name", "segments.names", "views.restriction.show[0]: AffectedSegment has no field names"),
        (
            "show: [",
            "shows: [",
            "views.restriction.shows: is not a key here; the keys are at, call, request, where, show",
        ),
        ("caused_by.key", "cause.key", "views.restriction.where.cause.key: "),
        ("effect]", "]]", "journeys: "),
        ("journeys:\n", "roads: roads.geojson\njourneys:\n", "roads.geojson: No such file"),
    ],
)
def test_a_complaint_names_line_and_field(tmp_path: Path, right: str, wrong: str, complaint: str) -> None:
    """What is misspelt is found before the first call is made."""
    assert right in FILE

    said = refusal(tmp_path, FILE.replace(right, wrong, 1))

    assert complaint in said
    assert "works.yaml line" in said or "roads.geojson" in said


def test_all_complaints_are_told_at_once(tmp_path: Path) -> None:
    """Two faults of one file."""
    said = refusal(tmp_path, FILE.replace("PermitGranted", "PermitGiven").replace("segments.name", "name"))

    assert "PermitGiven" in said
    assert "RoadRestriction has no field name" in said


def test_a_view_is_not_asked_for_what_is_kept_later(tmp_path: Path) -> None:
    """It would break off in the middle."""
    early = """\
      - title: Nobody has applied yet
        at: da-nang
        call: administration.ListPermits
        stands: {restriction: 0}
      - title: They apply
        at: da-nang
"""
    prepare = FILE[FILE.index("    prepare:") : FILE.index("    views:")]
    applied = prepare.replace("    prepare:\n      - at: da-nang\n", early)

    said = refusal(tmp_path, FILE.replace(prepare, "").replace("    steps:\n", f"    steps:\n{applied}"))

    assert "steps[0].stands.restriction: nothing is kept as permit before; there are run" in said


def feature(**other: Any) -> dict[str, Any]:
    properties = {"locality": "hue", "id": "s-1", "name": "Lê Lợi"}
    line = {"type": "LineString", "coordinates": [[107.58, 16.46], [107.59, 16.47]]}
    return {"type": "Feature", "properties": properties, "geometry": line} | other


def with_roads(folder: Path, *features: Any) -> Journeys:
    (folder / "roads.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return read(folder, "roads: roads.geojson\n" + FILE)


def test_roads_are_read_longitude_first(tmp_path: Path) -> None:
    """As RFC 7946 has it."""
    [road] = with_roads(tmp_path, feature()).roads

    points = [(point.latitude, point.longitude) for point in road.request.segment.line.points]
    assert (road.locality, road.request.segment.name) == ("hue", "Lê Lợi")
    assert points == [(16.46, 107.58), (16.47, 107.59)]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"geometry": None}, "expects a LineString with the properties locality, id and name"),
        ({"geometry": {"type": "Point", "coordinates": []}}, "not a Point of hue"),
        ({"geometry": {"type": "LineString", "coordinates": [[107.58, 16.46]]}}, "segment.line.points"),
        ({"properties": {"locality": "hue", "id": "s-1", "name": "x", "lanes": 2}}, "lanes"),
        ({"properties": {"locality": "nowhere", "id": "s-1", "name": "x"}}, "of nowhere"),
    ],
)
def test_a_wrong_road_is_named_by_its_place(tmp_path: Path, wrong: dict[str, Any], complaint: str) -> None:
    """The second feature is at fault."""
    with pytest.raises(UsageError, match="feature 2") as refused:
        with_roads(tmp_path, feature(), feature(**wrong))

    assert complaint in str(refused.value)
