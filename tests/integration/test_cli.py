"""The command as an operator has it: a mesh that is up, and every command against it.

One mesh of two localities runs for the whole file, started by `lienthong up` with a small replay; the tests are in the
order of a first hour with it.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mesh.cli.exits import Exit
from mesh.cli.readings_file import COLUMNS

pytestmark = pytest.mark.timeout(180)

FIRST = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=3)
AGREEMENT = "dn-hue-air-1"
POISON = """
from pathlib import Path
from lienthong.environment.v1 import AirQualityAlertRaised
from mesh import ALL, ANY, subscribe

class Poisoned:
    name = "poisoned"

    @subscribe(AirQualityAlertRaised, origin=ANY, start=ALL)
    def refuse(self, alert, event):
        if not Path("healed").exists():
            raise ValueError("as the test wants it")
"""


def readings(file: Path, *, day: int, stations: dict[str, str], pm25: float, rows: int = 12, extra: str = "") -> Path:
    """Writes a reading every 20 minutes per station; `stations` are province codes by id, `extra` further lines."""
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(COLUMNS)
        for number in range(rows):
            at = FIRST + timedelta(days=day, minutes=20 * number)
            for id, province in stations.items():
                values = [pm25 + number / 10, *[""] * 7]
                writer.writerow([at.isoformat(), province, "", id, id.title(), "16.05", "108.2", *values])
        lines.write(extra)
    return file


def lienthong(folder: Path, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs a command as in a terminal, in the folder of the mesh."""
    return subprocess.run(
        [sys.executable, "-m", "mesh.cli", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def environment() -> dict[str, str]:
    paths = [path for path in sys.path if path]
    return {**os.environ, "LIENTHONG_ENVIRONMENT__ALERT_INDEX": "50", "PYTHONPATH": os.pathsep.join(paths)}


@dataclass
class Up:
    """A running `lienthong up`."""

    folder: Path
    process: subprocess.Popen[str]
    report: dict[str, Any] = field(default_factory=dict)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return lienthong(self.folder, *arguments)

    def json(self, *arguments: str) -> Any:
        """What a command that must succeed prints with --json."""
        ended = self.run(*arguments, "--json")
        assert ended.returncode == Exit.OK, ended.stderr
        return json.loads(ended.stdout)

    def call(self, *arguments: str) -> Any:
        """What `lienthong call` prints."""
        ended = self.run("call", *arguments)
        assert ended.returncode == Exit.OK, ended.stderr
        return json.loads(ended.stdout)

    def let_through(self) -> list[list[str]]:
        """Pairs of provider and recipient whose events the hub lets through."""
        applied = self.folder / ".lienthong" / "hub" / "applied.json"
        pairs: list[list[str]] = json.loads(applied.read_text())["pairs"]
        return pairs

    def wait_for(self, done: Callable[[], Any]) -> Any:
        """Waits until `done` returns something true."""
        for _ in range(60):
            if found := done():
                return found
            time.sleep(0.2)
        raise AssertionError("waited in vain")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Da Nang and Huế with a replay behind them: one station each, air bad enough for an alert."""
    folder = tmp_path_factory.mktemp("city")
    bad_row = f"{FIRST.isoformat()},48,,hai-chau,Hai-Chau,16.05,108.2,much,,,,,,,\n"
    other_locality = f"{FIRST.isoformat()},79,,elsewhere,Elsewhere,10.5,107.2,20,,,,,,,\n"
    file = readings(
        folder / "first.csv",
        day=0,
        stations={"hai-chau": "48", "phu-xuan": "46"},
        pm25=60,
        extra=bad_row + other_locality,
    )
    command = [sys.executable, "-m", "mesh.cli", "up", "--localities", "da-nang,hue", "--replay", str(file), "--json"]
    process = subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        report, told = "", ""
        while not report.endswith("\n}\n"):
            line = process.stdout.readline()
            if not line:
                told = process.stderr.read() if process.stderr else ""
                raise AssertionError(f"lienthong up ended: {told}")
            report += line
        yield Up(folder, process, json.loads(report))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)


def test_up_reports_the_replay_and_stays(up: Up) -> None:
    """One row cannot be read; one belongs to a locality that does not run here; nothing else is amiss."""
    da_nang, hue = up.report["localities"]["da-nang"], up.report["localities"]["hue"]

    assert (da_nang["readings"]["rows"], da_nang["readings"]["accepted"]) == (13, 12)
    assert da_nang["readings"]["rejected_by_rule"] == {"format": 1}
    assert hue["readings"] | {"flagged": 0} == {
        "rows": 12,
        "accepted": 12,
        "duplicate": 0,
        "flagged": 0,
        "rejected": 0,
        "rejected_by_rule": {},
    }
    assert up.report["skipped_rows"] == 1
    assert da_nang["events"]["AirQualityAlertRaised"] == 1
    assert hue["effects"]["HealthAdvisoryIssued"] == 2, "one alert of its own, one of Da Nang's"
    assert [up.report["lines"][fault] for fault in ("lost", "doubled", "dead")] == [0, 0, 0]
    assert up.report["latency_ms"]["cross_locality"]["p50"] > 0
    assert up.process.poll() is None


def test_rejected_rows_are_kept_with_their_reason(up: Up) -> None:
    """In the folder of the mesh, with the line of the file."""
    with (up.folder / ".lienthong" / "first.csv.rejected.csv").open(encoding="utf-8") as lines:
        [row] = csv.DictReader(lines)

    assert (row["line"], row["locality"], row["rule"]) == ("26", "da-nang", "format")
    assert "pm25" in row["field"]


def test_status_shows_every_line_level(up: Up) -> None:
    """Subscriptions, logs and agreements of both."""
    status = up.json("status")

    assert {one["locality"] for one in status["subscriptions"]} == {"da-nang", "hue"}
    assert all(one["lag"] == one["dead_letters"] == 0 for one in status["subscriptions"])
    assert all(one["committed"] == one["published"] for one in status["logs"])
    [shared] = [one for one in status["agreements"] if one["agreement"] == AGREEMENT]
    assert (shared["at_provider"], shared["at_recipient"], shared["shared"], shared["admitted"]) == (
        *("ACTIVE", "ACTIVE"),
        *(1, 1),
    )
    assert shared["freshness_s"] == 0

    assert "exchange.from.da-nang" in up.run("status", "--locality", "hue").stdout


def test_verify_finds_nothing(up: Up) -> None:
    """Logs, streams, marks and effects agree."""
    counted = up.json("verify")

    assert counted["logged"] == counted["published"] > 0
    assert counted["findings"] == []


def test_call_asks_any_service(up: Up) -> None:
    """By short name, by full name; a request id is made up."""
    stations = up.call("da-nang", "environment.ListStations")["stations"]
    same = up.call("da-nang", "lienthong.environment.v1.EnvironmentService/ListStations", '{"page_size": 5}')[
        "stations"
    ]

    assert [station["id"] for station in stations] == ["hai-chau"]
    assert same == stations
    assert up.call("hue", "environment.CloseHours", "{}")["remaining"] == 0
    assert "HealthService.ListAdvisories" in up.run("call", "hue").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("da-nang", "environment.GetStation", '{"station_id": "absent"}'), Exit.REFUSED, "NOT_FOUND"),
        (("da-nang", "environment.GetStation"), Exit.REFUSED, '"field": "station_id"'),
        (("da-nang", "environment.GetStation", '{"station": 1}'), Exit.USAGE, "station_id"),
        (("da-nang", "environment.GetStation", "{"), Exit.USAGE, "JSON"),
        (("da-nang", "environment.Absent"), Exit.USAGE, "ListStations"),
        (("da-nang", "absent.Method"), Exit.USAGE, "HealthService"),
        (("ha-noi", "environment.ListStations"), Exit.USAGE, "running: da-nang, hue"),
    ],
)
def test_a_call_that_fails_says_why(up: Up, arguments: tuple[str, ...], code: Exit, said: str) -> None:
    """With the details the service sent; nothing on standard output."""
    ended = up.run("call", *arguments)

    assert (ended.returncode, ended.stdout) == (code, "")
    assert said in ended.stderr


def test_the_story_of_an_alert_crosses_the_border(up: Up) -> None:
    """From its log to the advisory in the other locality."""
    entries = up.call("da-nang", "node.ReadLog", '{"service": "exchange", "log": "shared-hue"}')["entries"]
    id = entries[0]["headers"]["ce-id"]

    story = up.json("events", "show", id[-8:])

    assert story["id"] == id
    assert story["message"]["station_id"] == "hai-chau"
    assert [(log["locality"], log["log"]) for log in story["logged"]] == [
        *(("da-nang", "events"), ("da-nang", "shared-hue"), ("hue", "events")),
    ]
    advised = {effect["locality"] for effect in story["effects"] if "HealthAdvisory" in effect["committed"]}
    assert advised == {"da-nang", "hue"}
    caused = [(caused["locality"], caused["type"].rpartition(".")[2]) for caused in story["caused"]]
    assert sorted(caused) == [
        *(("da-nang", "HealthAdvisoryIssued"), ("da-nang", "NoticePublished"), ("hue", "HealthAdvisoryIssued")),
    ]
    assert up.run("events", "show", "no-such-id").returncode == Exit.REFUSED


def test_events_scroll_by_while_a_file_is_replayed(up: Up) -> None:
    """What reaches Huế from Da Nang is seen there with its origin."""
    file = readings(up.folder / "second.csv", day=1, stations={"son-tra": "48"}, pm25=60)
    command = [sys.executable, "-m", "mesh.cli", "events", "tail", "--locality", "hue", "-n", "1", "--json"]
    command += ["--type", "AirQualityAlertRaised", "--key", "son-tra"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=up.folder, env=environment(), **pipes) as tail:
        assert tail.stderr is not None
        assert "waiting for events" in tail.stderr.readline()

        replayed = up.json("replay", str(file))
        seen = json.loads(tail.communicate(timeout=30)[0])

    assert replayed["localities"]["da-nang"]["readings"]["accepted"] == 12
    assert (seen["locality"], seen["origin"], seen["key"]) == ("hue", "da-nang", "son-tra")


def test_a_file_replayed_twice_is_all_duplicates(up: Up) -> None:
    """And brings about nothing."""
    before = up.json("verify")["logged"]

    again = up.json("replay", str(up.folder / "second.csv"), "--speed", "1000000")

    tally = again["localities"]["da-nang"]["readings"]
    assert (tally["rows"], tally["accepted"], tally["duplicate"]) == (12, 0, 12)
    assert up.json("verify")["logged"] == before


def test_what_another_locality_knows_is_looked_up_and_the_other_sees_by_whom(up: Up) -> None:
    """The same call, with `locality`; a person sees a table, a program the fields."""
    here = up.call("hue", "environment.ListStations")["stations"]

    there = up.call("da-nang", "environment.ListStations", '{"locality": "hue"}')["stations"]
    refused = up.run("call", "hue", "environment.ListStations", '{"locality": "da-nang"}')

    assert there == here != []
    assert refused.returncode == Exit.REFUSED
    assert "no ACTIVE agreement lets hue look up" in refused.stderr
    [record] = up.json("agreements", "lookups", "hue-dn-lookup-1")
    assert (record["looked_up_in"], record["recipient"], record["outcome"]) == ("hue", "da-nang", "OK")
    shown = up.run("agreements", "lookups", "--locality", "hue").stdout
    assert "ListStations" in shown
    assert "public-health warning" in shown
    assert up.json("agreements", "lookups", "--locality", "da-nang") == []


def test_an_agreement_is_suspended_resumed_and_revoked(up: Up) -> None:
    """Each step is in force when the command returns: the hub is shut with the last agreement of a pair."""
    others = {
        one["id"] for one in up.json("agreements", "list") if (one["provider"], one["recipient"]) == ("da-nang", "hue")
    } - {AGREEMENT}

    [suspended] = up.json("agreements", "suspend", AGREEMENT)
    assert suspended["state"] == "SUSPENDED"
    assert ["da-nang", "hue"] in up.let_through()
    for other in others:
        up.json("agreements", "suspend", other)
    assert ["da-nang", "hue"] not in up.let_through()

    for id in (AGREEMENT, *others):
        [resumed] = up.json("agreements", "resume", id)
        assert resumed["state"] == "ACTIVE"
        assert ["da-nang", "hue"] in up.let_through()

    [revoked] = up.json("agreements", "revoke", AGREEMENT)
    assert revoked["state"] == "REVOKED"
    assert {one["state"] for one in up.json("agreements", "list") if one["id"] == AGREEMENT} == {"REVOKED"}
    assert up.run("agreements", "resume", AGREEMENT).returncode == Exit.REFUSED
    assert up.run("agreements", "suspend", "no-such").returncode == Exit.REFUSED


def test_an_agreement_is_applied_from_a_file(up: Up) -> None:
    """A wrong one is refused before anything happens, naming the place."""
    text = (Path(__file__).parents[2] / "examples" / "agreements" / f"{AGREEMENT}.yaml").read_text(encoding="utf-8")
    (up.folder / "again.yaml").write_text(text.replace(AGREEMENT, "dn-hue-air-2"), encoding="utf-8")
    (up.folder / "wrong.yaml").write_text(text.replace("recipient:", "recipents:"), encoding="utf-8")

    [made] = up.json("agreements", "apply", "again.yaml")
    wrong = up.run("agreements", "apply", "wrong.yaml")

    assert (made["id"], made["state"]) == ("dn-hue-air-2", "ACTIVE")
    assert wrong.returncode == Exit.USAGE
    assert "wrong.yaml" in wrong.stderr


def test_a_service_of_your_own_joins_and_its_dead_letters_are_retried(up: Up) -> None:
    """It is seen by status, dead-letters and verify as long as it runs."""
    (up.folder / "poison_of_a_test.py").write_text(POISON)
    command = [sys.executable, "-m", "mesh.cli", "serve", "poison_of_a_test:Poisoned", "--locality", "da-nang"]
    with subprocess.Popen(command, cwd=up.folder, env=environment(), stderr=subprocess.PIPE, text=True) as own:
        try:
            letters = up.wait_for(lambda: up.json("dead-letters", "list"))
            found = up.run("verify", "--json")
            more_letters = up.json("dead-letters", "list")
            shown = up.json("dead-letters", "show", letters[0]["id"])
            failed = up.run("dead-letters", "retry", letters[0]["id"])
            (up.folder / "healed").touch()
            retried = up.run("dead-letters", "retry", "--all", "--json")

            assert {(one["locality"], one["service"]) for one in letters} == {("da-nang", "poisoned")}
            assert "ValueError" in letters[0]["error"]
            assert shown["event"]["type"] == "lienthong.environment.v1.AirQualityAlertRaised"
            assert found.returncode == Exit.FOUND
            assert len(letters) <= json.loads(found.stdout)["dead"] <= len(more_letters)
            assert (failed.returncode, "failed again" in failed.stdout) == (Exit.FOUND, True)
            assert retried.returncode == Exit.OK, retried.stderr
            assert up.json("dead-letters", "list") == []
            assert up.json("verify")["findings"] == []
        finally:
            own.send_signal(signal.SIGTERM)
            said = own.communicate(timeout=30)[1]

    assert own.returncode == 0
    assert [json.loads(line)["message"] for line in said.splitlines()][-1] == "stopped"
    assert not list((up.folder / ".lienthong" / "joined").iterdir())


def test_a_key_is_ended_at_once_and_everything_goes_on(up: Up) -> None:
    """The operator's tokens, those the services give each other and those that `lienthong up` reads agreements with."""
    stolen = up.run("token", "--subject", "desk", "--scope", "environment.read", "--locality", "hue").stdout.strip()
    assert stolen.count(".") == 2

    rotated = up.json("keys", "rotate", "--at-once")

    assert set(rotated) == {"da-nang", "hue"}
    assert up.call("da-nang", "environment.ListStations")["stations"]
    assert up.run("verify").returncode == Exit.OK
    endpoints = json.loads((up.folder / ".lienthong" / "endpoints.json").read_text())
    assert stolen != endpoints["localities"]["hue"]["token"]


def test_a_locality_that_does_not_run_here_is_named(up: Up) -> None:
    """With those that do; nothing is started."""
    ended = up.run("serve", "examples.subscriber:Neighbour", "--locality", "ha-noi")

    assert ended.returncode == Exit.USAGE
    assert "da-nang, hue" in ended.stderr


def test_a_second_mesh_in_the_same_folder_is_refused(up: Up) -> None:
    """The running one is left alone."""
    ended = up.run("up", "--localities", "hue", "--fresh")

    assert ended.returncode == Exit.USAGE
    assert "in use" in ended.stderr
    assert up.process.poll() is None


def test_up_stops_cleanly_and_commands_say_so(up: Up) -> None:
    """Told to end, it ends with 0, takes its addresses with it, and leaves its own log."""
    up.process.send_signal(signal.SIGINT)
    up.process.wait(60)

    assert up.process.returncode == Exit.OK
    ended = up.run("status")
    assert (ended.returncode, "lienthong up" in ended.stderr) == (Exit.UNREACHABLE, True)
    log = (up.folder / ".lienthong" / "logs" / "up.log").read_text(encoding="utf-8")
    assert "da-nang.services ready" in log


def test_exit_goes_on_with_the_data_and_closes_all_hours(up: Up) -> None:
    """A second start: the same file is all duplicates, the report is of this run, and the exit code says sound."""
    ended = lienthong(
        up.folder,
        *("up", "--localities", "da-nang,hue", "--replay", "first.csv", "--exit", "--json"),
        timeout=120,
    )

    assert ended.returncode == Exit.OK, ended.stderr
    found = json.loads(ended.stdout)
    assert found["localities"]["hue"]["readings"]["duplicate"] == 12
    assert found["localities"]["hue"]["effects"] == {}
    assert found["lines"]["logged"] > 0
    assert found["latency_ms"]["same_locality"] == {"p50": None, "p99": None}
