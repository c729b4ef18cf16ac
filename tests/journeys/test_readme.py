"""The README's session, typed as it stands, and the example subscriber beside the running mesh."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, commands
from tests.hosts import eventually

SERVED_BY_THE_TEST = ("make", "source")


@pytest.fixture
def environ(tmp_path):
    """The shell of a reader: `lienthong` is on the path, the mesh is the one of this test."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "LIENTHONG_DATA_DIR": str(tmp_path / "data"), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
async def background(environ):
    """Starts commands that stay, and stops them with Ctrl-C at the end, last first."""
    started = []

    async def start(*command):
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        started.append(process)
        return process

    yield start
    for process in reversed(started):
        process.send_signal(2)
        await process.wait()


async def line_of(process, text):
    """Reads what a process says until a line holds the text; returns that line."""
    async with asyncio.timeout(60):
        while line := (await process.stdout.readline()).decode():
            if text in line:
                return line
    raise AssertionError(f"it ended without saying {text!r}")


async def typed(words, environ):
    process = await asyncio.create_subprocess_exec(
        *words, cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, (words, stderr.decode())
    return stdout.decode()


async def test_your_own_change_crosses_the_border_and_a_subscriber_of_twenty_lines_sees_it(environ, background):
    """Every command of the README's sessions runs; the last one shows the effect in Huế."""
    mesh = await background("lienthong", "up", "--localities", "da-nang,hue")
    await line_of(mesh, "It stays up")
    neighbour = await background("lienthong", "serve", "examples.subscriber:Neighbour", "--locality", "hue")
    await line_of(neighbour, "listening")
    session = [found.words for found in commands(ROOT / "README.md") if found.words[0] not in SERVED_BY_THE_TEST]
    assert [words[2:4] for words in session] == [
        ("da-nang", "environment.RegisterStation"),
        ("da-nang", "environment.RecordReadings"),
        ("hue", "health.ListAdvisories"),
    ]

    for words in session[:2]:
        await typed(words, environ)

    async def advisories():
        return json.loads(await typed(session[2], environ))["advisories"]

    [advisory] = await eventually(advisories)
    assert (advisory["origin"], advisory["station_id"], advisory["index"]) == ("da-nang", "my-balcony", 235)
    assert "da-nang" in await line_of(neighbour, "my-balcony")

    story = await typed(("lienthong", "events", "show", advisory["causation_id"]), environ)
    assert "dn-hue-air-1/environment/air_quality_alert" in story
    assert "hue exchange events" in story
