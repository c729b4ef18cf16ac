"""A week of real readings, replayed by the command a user would type, against an independent computation.

The real file has no index over 100 in the four localities, so alerts begin at 50.
"""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime

import pytest

from mesh.stack import endpoints
from mesh.stack.stack import Stack
from tests.journeys.city import City, per_station
from tests.journeys.expectation import expect
from tests.skips import real_data

LOCALITIES = ("da-nang", "hue", "ha-noi", "quang-ninh")
ALERT_INDEX = 50


@pytest.fixture
def expected():
    return expect(real_data("air_quality_2026-05.csv.gz"), ALERT_INDEX)


@pytest.fixture
async def report(tmp_path, expected):
    """What `lienthong up … --exit --json` prints, having exited 0."""
    file = real_data("air_quality_2026-05.csv.gz")
    command = [sys.executable, "-m", "mesh.cli", "up", "--localities", ",".join(LOCALITIES), "--replay", str(file)]
    process = await asyncio.create_subprocess_exec(
        *command,
        *("--exit", "--json", "--data", str(tmp_path / "data")),
        env={**os.environ, "LIENTHONG_ENVIRONMENT__ALERT_INDEX": str(ALERT_INDEX)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()[-2000:]
    return json.loads(stdout)


@pytest.mark.timeout(300)
async def test_readings_hours_alerts_and_advisories_are_what_the_rules_say(tmp_path, report, expected):
    """Every count of the report, every hour and every alert per station, and nothing lost or doubled."""
    assert {slug: report["localities"][slug]["readings"] for slug in LOCALITIES} == {
        slug: {
            "rows": expected[slug].rows,
            "accepted": expected[slug].accepted,
            "duplicate": expected[slug].duplicate,
            "flagged": expected[slug].flagged,
            "rejected": expected[slug].rejected,
            "rejected_by_rule": expected[slug].rejected_by_rule,
        }
        for slug in LOCALITIES
    }
    lines = report["lines"]
    assert (lines["lost"], lines["doubled"], lines["dead"]) == (0, 0, 0)
    assert lines["logged"] == lines["published"] > 0
    assert report["latency_ms"]["cross_locality"]["p50"] > 0

    # A second start goes on with the data, so what was recorded can be asked for.
    async with Stack(LOCALITIES, tmp_path / "data"):
        at = endpoints.read(tmp_path / "data" / "endpoints.json").localities
        for slug in LOCALITIES:
            city = City(at[slug])
            await _compare(city, expected[slug])
            await city.close()


async def _compare(city, expected):
    logged = await city.logged("environment")
    hours = {}
    for recorded in logged["AirQualityHourRecorded"]:
        hour = recorded.hour.ToDatetime(UTC)
        assert recorded.revision == 1, "the real file has no late readings"
        hours.setdefault(recorded.station_id, {})[hour] = recorded.index if recorded.HasField("index") else None
    assert hours == {
        station: {_time(hour): index for hour, index in by_hour.items()} for station, by_hour in expected.hours.items()
    }
    assert per_station(logged["AirQualityAlertRaised"]) == expected.raised
    assert per_station(logged["AirQualityAlertLifted"]) == expected.lifted
    assert len(await city.advisories()) == expected.advisories
    advice = await city.logged("health")
    assert len(advice["HealthAdvisoryIssued"]) == expected.issued
    assert len(advice["HealthAdvisoryWithdrawn"]) == expected.withdrawn


def _time(hour):
    return datetime.fromisoformat(hour).astimezone(UTC)
