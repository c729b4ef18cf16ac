"""Commands end with a code that means something, and one line that says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mesh.cli import services
from mesh.cli.app import app
from mesh.cli.exits import Exit, NoMesh, UsageError, exit_code, told_in_one_line
from mesh.cli.replay import parse_speed
from mesh.errors import ConfigurationError, MeshError, NotFound, PermissionDenied, Unavailable
from mesh.stack.process import ChildFailed


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no"), Exit.USAGE),
        (ConfigurationError("LIENTHONG_FOO"), Exit.USAGE),
        (NoMesh("nothing runs"), Exit.UNREACHABLE),
        (ChildFailed("mongod ended"), Exit.UNREACHABLE),
        (Unavailable("away"), Exit.UNREACHABLE),
        (NotFound("station", "s"), Exit.REFUSED),
        (PermissionDenied("no", scope="x"), Exit.REFUSED),
    ],
)
def test_every_error_has_its_exit_code(error: Exception, code: Exit, capsys: pytest.CaptureFixture[str]) -> None:
    """And one line on standard error, none on standard output."""
    with pytest.raises(SystemExit) as ended, told_in_one_line():
        raise error

    assert ended.value.code == exit_code(error) == code
    said = capsys.readouterr()
    assert said.err.startswith("lienthong: ")
    assert said.out == ""


def test_errors_raised_side_by_side_are_told_as_one() -> None:
    """Children are started in a task group, which raises a group."""
    with pytest.raises(SystemExit) as ended, told_in_one_line():
        raise ExceptionGroup("starting", [ExceptionGroup("inner", [ChildFailed("hue.services")]), ValueError()])

    assert ended.value.code == Exit.UNREACHABLE


def test_a_defect_keeps_its_traceback() -> None:
    """Nobody can mend what is told in one line."""
    with pytest.raises(ZeroDivisionError), told_in_one_line():
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "path",
    [
        *(["up"], ["serve"], ["replay"], ["journeys"], ["call"], ["status"], ["verify"], ["config"]),
        *(["events", name] for name in ("tail", "show")),
        *(["dead-letters", name] for name in ("list", "show", "retry", "drop")),
        *(["agreements", name] for name in ("list", "apply", "suspend", "resume", "revoke")),
        *(["certificates", name] for name in ("show", "renew")),
    ],
    ids=" ".join,
)
def test_every_command_explains_itself_with_an_example(path: list[str]) -> None:
    """`--help` shows a line to copy."""
    shown = CliRunner().invoke(app, [*path, "--help"])

    assert shown.exit_code == 0
    assert f"lienthong {' '.join(path)}" in shown.output


@pytest.mark.parametrize(("text", "expected"), [("max", None), ("1", 1.0), ("3600", 3600.0), ("0.5", 0.5)])
def test_speed_is_max_or_a_factor(text: str, expected: float | None) -> None:
    """None is as fast as it goes."""
    assert parse_speed(text) == expected


@pytest.mark.parametrize("text", ["", "fast", "0", "-1", "inf", "nan"])
def test_other_speeds_are_refused(text: str) -> None:
    """Naming the option."""
    with pytest.raises(UsageError, match="--speed"):
        parse_speed(text)


class NoService:
    """A class without a name."""


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        (["no_such"], "no service no_such is installed"),
        (["no.such.module:Service"], "cannot be imported"),
        (["tests.trial.services:Absent"], "has no Absent"),
        (["tests.unit.cli.test_command_line:NoService"], "no service class"),
        (["tests.trial.services:TrialService"] * 2, "twice"),
    ],
)
def test_a_service_that_cannot_be_had_is_named(wanted: list[str], complaint: str) -> None:
    """With what to write instead."""
    with pytest.raises(UsageError, match=complaint):
        services.find(wanted)


def test_a_service_of_your_own_is_found_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`module:Class`, without installing anything."""
    (tmp_path / "own_service_of_a_test.py").write_text("class Own:\n    name = 'own'\n")
    monkeypatch.chdir(tmp_path)

    [found] = services.find(["own_service_of_a_test:Own"])

    assert found.name == "own"


def test_no_mesh_is_said_with_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 3."""
    monkeypatch.chdir(tmp_path)

    ended = CliRunner().invoke(app, ["status"])

    assert isinstance(ended.exception, NoMesh)
    assert "lienthong up" in str(ended.exception)


def test_config_lists_every_setting_with_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those a sector brought along."""

    monkeypatch.setenv("LIENTHONG_LOG_LEVEL", "ERROR")

    listed: list[dict[str, Any]] = json.loads(CliRunner().invoke(app, ["config", "--json"]).output)

    [level] = [one for one in listed if one["name"] == "LIENTHONG_LOG_LEVEL"]
    assert (level["default"], level["value"]) == ("INFO", "ERROR")
    assert all(one["description"] for one in listed)


def test_no_known_error_escapes_untold() -> None:
    """Whatever the mesh raises has an exit code above 1."""

    def below(cls: type[MeshError]) -> set[type[MeshError]]:
        return {cls}.union(*(below(sub) for sub in cls.__subclasses__()))

    assert all(exit_code(cls.__new__(cls)) > Exit.FOUND for cls in below(MeshError))


def test_the_documents_for_outsiders_are_printed() -> None:
    """As JSON, or as a page."""
    openapi = CliRunner().invoke(app, ["api", "openapi"])
    page = CliRunner().invoke(app, ["api", "docs"])

    assert json.loads(openapi.stdout)["openapi"] == "3.1.0"
    assert page.stdout.startswith("<!doctype html>")
