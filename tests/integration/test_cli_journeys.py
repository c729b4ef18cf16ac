"""Journeys in a mesh that is up: walked by `lienthong up`, walked again by `lienthong journeys`, and one that fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mesh.cli.exits import Exit

pytestmark = pytest.mark.timeout(180)

JOURNEYS = """\
roads: roads.geojson
journeys:
  - title: Bad air
    prepare:
      - at: da-nang
        call: environment.RegisterStation
        request: {station: {id: "hai-chau-{run}", name: Hải Châu, location: {latitude: 16.07, longitude: 108.22}}}
    views:
      restriction:
        at: da-nang
        call: transport.ListRestrictions
        request: {state: RESTRICTION_STATE_IMPOSED}
        where: {caused_by.key: "hai-chau-{run}"}
        show: [segments.name, effect]
      advisory:
        at: [da-nang, hue]
        call: health.ListAdvisories
        request: {state: ADVISORY_STATE_ISSUED}
        where: {station_id: "hai-chau-{run}"}
        show: [band]
    steps:
      - title: Two hours of bad air
        at: da-nang
        call: environment.RecordReadings
        request:
          readings:
            - {station_id: "hai-chau-{run}", observed_at: now-9h, concentrations: {pm25_ug_m3: 170}}
            - {station_id: "hai-chau-{run}", observed_at: now-8h, concentrations: {pm25_ug_m3: 180}}
            - {station_id: "hai-chau-{run}", observed_at: now-7h, concentrations: {pm25_ug_m3: 60}}
        events:
          da-nang: [AirQualityAlertRaised, HealthAdvisoryIssued, RoadRestrictionImposed, NoticePublished]
          hue: [AirQualityAlertRaised, HealthAdvisoryIssued]
        stands: {restriction: 1, advisory: 1}
      - title: The wind turns
        at: da-nang
        call: environment.RecordReadings
        request:
          readings:
            - {station_id: "hai-chau-{run}", observed_at: now-6h, concentrations: {pm25_ug_m3: 12}}
            - {station_id: "hai-chau-{run}", observed_at: now-5h, concentrations: {pm25_ug_m3: 11}}
            - {station_id: "hai-chau-{run}", observed_at: now-4h, concentrations: {pm25_ug_m3: 11}}
            - {station_id: "hai-chau-{run}", observed_at: now-3h, concentrations: {pm25_ug_m3: 10}}
            - {station_id: "hai-chau-{run}", observed_at: now-2h, concentrations: {pm25_ug_m3: 10}}
        events:
          da-nang: [AirQualityAlertLifted, HealthAdvisoryWithdrawn, RoadRestrictionLifted, NoticeWithdrawn]
          hue: [AirQualityAlertLifted, HealthAdvisoryWithdrawn]
        stands: {restriction: 0, advisory: 0}
  - title: Far away
    steps:
      - {title: Nobody is there, at: can-tho, call: environment.ListStations}
"""
IN_VAIN = """\
journeys:
  - title: In vain
    steps:
      - title: Nothing comes of a question
        at: hue
        call: environment.ListStations
        events: {hue: [AirQualityAlertRaised]}
        within_s: 0.5
"""
ROADS = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"locality": slug, "id": "s-1", "name": name},
            "geometry": {"type": "LineString", "coordinates": [[108.215, 16.068], [108.222, 16.071]]},
        }
        for slug, name in (("da-nang", "Bạch Đằng"), ("can-tho", "Hai Bà Trưng"))
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the mesh keeps its data, with files of journeys beside them."""
    (tmp_path / "journeys.yaml").write_text(JOURNEYS, encoding="utf-8")
    (tmp_path / "in-vain.yaml").write_text(IN_VAIN, encoding="utf-8")
    (tmp_path / "roads.geojson").write_text(json.dumps(ROADS), encoding="utf-8")
    return tmp_path


def command(folder: Path, *arguments: str) -> dict[str, Any]:
    """How to start a command as in a terminal, in the folder of the mesh."""
    paths = os.pathsep.join(path for path in sys.path if path)
    return {
        "args": [sys.executable, "-m", "mesh.cli", *arguments],
        "cwd": folder,
        "env": {**os.environ, "PYTHONPATH": paths},
        "text": True,
    }


def lienthong(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(**command(folder, *arguments), capture_output=True, timeout=120, check=False)


def read_report(process: subprocess.Popen[str]) -> Any:
    """The JSON that `up` prints when the journeys are walked and everything is counted; then it stays up."""
    assert process.stdout is not None
    report = ""
    while not report.endswith("\n}\n"):
        line = process.stdout.readline()
        assert line, "lienthong up ended"
        report += line
    return json.loads(report)


def test_a_journey_is_walked_with_the_start_and_again_later(folder: Path) -> None:
    """Every step brings about what the file asks for in both localities, the second time as the first."""
    started = command(folder, "up", "--localities", "da-nang,hue", "--journeys", "journeys.yaml", "--json")
    up = subprocess.Popen(**started, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        report = read_report(up)
        again = lienthong(folder, "journeys", "journeys.yaml")
        in_vain = lienthong(folder, "journeys", "in-vain.yaml")
    finally:
        up.terminate()
        up.wait(60)

    bad_air, far_away = report["journeys"]
    assert bad_air["met"], bad_air
    assert far_away["absent"] == ["can-tho"]
    assert [{row["view"]: len(row["rows"]) for row in step["stands"]} for step in bad_air["steps"]] == [
        {"restriction": 1, "advisory": 1},
        {"restriction": 0, "advisory": 0},
    ]
    for step in bad_air["steps"]:
        traces = {event["traceparent"][3:35] for event in step["events"]}
        assert traces == {step["trace_id"]}
        assert {event["locality"] for event in step["events"]} == {"da-nang", "hue"}
    assert report["lines"]["lost"] == report["lines"]["doubled"] == report["lines"]["dead"] == 0

    assert again.returncode == Exit.OK, again.stdout + again.stderr
    assert "restriction: Bạch Đằng · reduced service" in again.stdout
    assert "undone" in again.stdout
    assert "Far away  left out: Cần Thơ does not run here" in again.stdout

    assert in_vain.returncode == Exit.FOUND
    assert "Nothing comes of a question: no AirQualityAlertRaised in hue within 0.5 s" in in_vain.stdout


def test_the_start_ends_with_a_code_when_a_journey_fails(folder: Path) -> None:
    """With --exit; everything else is sound."""
    ended = lienthong(
        folder, "up", "--localities", "hue", "--journeys", "in-vain.yaml", "--exit", "--data", "other", "--json"
    )

    report = json.loads(ended.stdout)
    assert ended.returncode == Exit.FOUND
    assert report["journeys"][0]["steps"][0]["problems"] == ["no AirQualityAlertRaised in hue within 0.5 s"]
    assert report["lines"]["lost"] == 0


def test_a_wrong_file_is_refused_before_anything_starts(folder: Path) -> None:
    """With its line."""
    (folder / "wrong.yaml").write_text(IN_VAIN.replace("ListStations", "ListStation"), encoding="utf-8")

    ended = lienthong(folder, "up", "--localities", "hue", "--journeys", "wrong.yaml")

    assert ended.returncode == Exit.USAGE
    assert "EnvironmentService has no method ListStation" in ended.stderr
    assert "(wrong.yaml line 6)" in ended.stderr
    assert not (folder / ".lienthong").exists()
