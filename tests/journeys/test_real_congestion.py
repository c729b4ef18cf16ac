"""A week of real congestion, replayed by the command a user would type, against an independent count of the file."""

import asyncio
import csv
import gzip
import json
import os
import sys
from collections import defaultdict
from datetime import UTC, datetime

import pytest

from lienthong.transport.v1 import ListCongestionRequest
from mesh.stack import endpoints
from mesh.stack.stack import Stack
from tests.journeys.city import City
from tests.skips import real_data

LOCALITIES = {"48": "da-nang", "79": "ho-chi-minh"}
PAGE = 100


@pytest.fixture
def file():
    return real_data("traffic_congestion_2026-05.csv.gz")


@pytest.fixture
def expected(file):
    """Samples by locality and hour, the first of a place and hour; imports nothing of Lienthong."""
    samples = defaultdict(dict)
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if slug := LOCALITIES.get(row["province_code"]):
                hour = datetime.fromisoformat(row["observed_at"]).replace(minute=0, second=0, microsecond=0)
                sample = (float(row["congestion"]), int(row["samples"]), float(row["coverage"]))
                samples[slug].setdefault(hour, sample)
    return samples


@pytest.fixture
def counted(file):
    """Rows of the file by province code."""
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        codes = [row["province_code"] for row in csv.DictReader(lines)]
    return {code: codes.count(code) for code in set(codes)}


async def test_every_hour_of_the_week_is_kept_once_however_often_it_is_replayed(tmp_path, file, expected, counted):
    """What the command reports and what can be listed are the rows of the file; a second replay adds nothing."""
    async with Stack(list(LOCALITIES.values()), tmp_path / "data"):
        first = await replay(tmp_path / "data", file)
        again = await replay(tmp_path / "data", file)
        listed = {slug: await list_samples(tmp_path / "data", slug) for slug in LOCALITIES.values()}

    for code, slug in LOCALITIES.items():
        rows, kept = counted[code], len(expected[slug])
        assert first["localities"][slug]["congestion"] == outcome(rows, accepted=kept, duplicate=rows - kept)
        assert again["localities"][slug]["congestion"] == outcome(rows, accepted=0, duplicate=rows)
    assert first["skipped_rows"] == sum(counted.values()) - sum(counted[code] for code in LOCALITIES)
    assert listed == expected


def outcome(rows, accepted, duplicate):
    """What the command says of a locality."""
    nothing = {"flagged": 0, "rejected": 0, "rejected_by_rule": {}}
    return {"rows": rows, "accepted": accepted, "duplicate": duplicate, **nothing}


async def replay(data, file):
    """What `lienthong replay --kind congestion … --json` prints, having exited 0."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mesh.cli", "replay", "--kind", "congestion", str(file), "--json", "--data", str(data)),
        env=os.environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()[-2000:]
    return json.loads(stdout)


async def list_samples(data, slug):
    """All samples of a locality, page by page, by hour."""
    city = City(endpoints.read(data / "endpoints.json").localities[slug])
    samples, token = {}, ""
    while True:
        request = ListCongestionRequest(page_size=PAGE, page_token=token)
        page = await city.call(city.transport.ListCongestion, request)
        assert len(page.samples) <= PAGE
        samples |= {s.hour.ToDatetime(UTC): (s.congestion, s.samples, s.coverage) for s in page.samples}
        token = page.next_page_token
        if not token:
            await city.close()
            return samples
