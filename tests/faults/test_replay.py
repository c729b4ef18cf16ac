"""The main job while its servers are killed: what a replay comes to is what the rules say, not what the faults made."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from mesh.container import database_name
from mesh.errors import ConfigurationError
from mesh.stack import Stack, endpoints
from tests.faults.campaign import until
from tests.journeys.city import City, per_station
from tests.journeys.expectation import Expected, expect

WEEK = Path(__file__).parents[2] / "examples" / "week.csv.gz"
LOCALITIES = ("da-nang", "hue")
ALERT_INDEX = 50
KILLED = ["da-nang.services", "mongod", "hue.services", "da-nang.nats", "da-nang.services", "hue.nats", "hub"]
KILLED_UNTIL = 0.7
"""Part of the readings after which nothing is killed any more."""


@pytest.fixture
def week(tmp_path: Path) -> Path:
    """The bundled week without its late readings: what those come to depends on how rows share a call."""
    file, latest = tmp_path / "week.csv", dict[str, str]()
    with gzip.open(WEEK, "rt", encoding="utf-8", newline="") as lines, file.open("w", newline="") as kept:
        rows = csv.DictReader(lines)
        writer = csv.DictWriter(kept, rows.fieldnames or ())
        writer.writeheader()
        for row in rows:
            if row["observed_at"] >= latest.get(row["station_id"], ""):
                latest[row["station_id"]] = row["observed_at"]
                writer.writerow(row)
    return file


@pytest.mark.timeout(240)
async def test_a_replay_among_kills_comes_to_what_the_rules_say(tmp_path: Path, week: Path) -> None:
    """Services, mongod and nats-servers are killed one after the other while the readings stream in."""
    data, expected = tmp_path / "data", expect(week, ALERT_INDEX)
    command = [sys.executable, "-m", "mesh.cli", "up", "--localities", ",".join(LOCALITIES), "--replay", str(week)]
    process = await asyncio.create_subprocess_exec(
        *command,
        *("--exit", "--json", "--data", str(data)),
        env=os.environ | {"LIENTHONG_ENVIRONMENT__ALERT_INDEX": str(ALERT_INDEX)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output = asyncio.create_task(process.communicate())

    try:
        await _kill_one_after_the_other(data, sum(expected[slug].accepted for slug in LOCALITIES))
        report, complaints = await output
    finally:
        if process.returncode is None:
            process.terminate()
            await output

    assert process.returncode == 0, complaints.decode()[-2000:]
    _compare_report(json.loads(report), expected)
    async with Stack(LOCALITIES, data) as stack:
        for slug in LOCALITIES:
            await _compare_locality(City(endpoints.read(stack.endpoints_file).localities[slug]), expected[slug])


async def _kill_one_after_the_other(data: Path, rows: int) -> None:
    for number, child in enumerate(KILLED, 1):
        await _until_kept(data, int(rows * KILLED_UNTIL * number / len(KILLED)))
        os.kill(endpoints.read(data / "endpoints.json").processes[child], signal.SIGKILL)


async def _until_kept(data: Path, count: int) -> None:
    await until(lambda: _has_readings(data, count), 120, lambda: f"fewer than {count} readings are kept")


async def _has_readings(data: Path, count: int) -> bool:
    try:
        uri = endpoints.read(data / "endpoints.json").mongodb
    except ConfigurationError:  # not up yet
        return False
    async with AsyncMongoClient[dict[str, Any]](uri) as mongodb:
        found = [await _rows_in(mongodb[database_name(slug, "environment")]["readings"]) for slug in LOCALITIES]
    return sum(found) >= count


async def _rows_in(readings: Any) -> int:
    counting = await readings.aggregate([{"$group": {"_id": None, "rows": {"$sum": {"$size": "$rows"}}}}])
    return sum([found["rows"] async for found in counting])


def _compare_report(report: dict[str, Any], expected: dict[str, Expected]) -> None:
    lines = report["lines"]
    assert (lines["lost"], lines["doubled"], lines["dead"]) == (0, 0, 0)
    for slug in LOCALITIES:
        readings, here = report["localities"][slug]["readings"], expected[slug]
        assert (readings["rows"], readings["accepted"], readings["duplicate"], readings["rejected"]) == (
            here.rows,
            here.accepted,
            here.duplicate,
            here.rejected,
        )


async def _compare_locality(city: City, expected: Expected) -> None:
    logged = await city.logged("environment")
    hours = [(recorded.station_id, recorded.hour.ToJsonString()) for recorded in logged["AirQualityHourRecorded"]]
    assert sorted(hours) == sorted((station, hour) for station, at in expected.hours.items() for hour in at)
    assert per_station(logged["AirQualityAlertRaised"]) == expected.raised
    assert per_station(logged["AirQualityAlertLifted"]) == expected.lifted
    advice = await city.logged("health")
    assert len(advice["HealthAdvisoryIssued"]) == expected.issued
    assert len(advice["HealthAdvisoryWithdrawn"]) == expected.withdrawn
    await city.close()
