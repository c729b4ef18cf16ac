"""Every command line in the documentation can be typed as it stands."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main

from mesh import config
from mesh.cli.app import app
from tests.docs import markdown
from tests.docs.markdown import ROOT, Command

COMMANDS = [command for page in markdown.pages() for command in markdown.commands(page)]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def parse_lienthong(command: Command) -> None:
    """Goes through sub-commands, options and arguments as the command itself would, with nothing behind them."""
    config.load(command.environ)
    program = typer.main.get_command(app)
    hollow_out(program)
    try:
        program.main(args=list(command.words[1:]), prog_name="lienthong")
    except SystemExit as ended:
        if ended.code:
            pytest.fail(f"{command}: refused; see the captured output")


def hollow_out(program: Any) -> None:
    """Leaves a command its parameters and takes away what it does."""
    program.callback = lambda **_: None
    for subcommand in getattr(program, "commands", {}).values():
        hollow_out(subcommand)


def check_make(command: Command) -> None:
    """Looks the targets up in the Makefile."""
    targets = {word for word in command.words[1:] if "=" not in word and not word.startswith("-")}
    assert targets <= TARGETS, f"{command}: no such target"


def check_python(command: Command) -> None:
    """Looks for the script or module that is run."""
    words = [word for word in command.words[1:] if not word.startswith("-") or word == "-m"]
    if words[:1] == ["-m"]:
        assert (
            (ROOT / words[1].replace(".", "/")).with_suffix("").exists()
            or shutil.which(words[1])
            or words[1] in {"pip", "venv"}
        )
    else:
        assert (ROOT / words[0]).is_file(), f"{command}: no such file"


def check_nothing(command: Command) -> None:
    """Takes a program that is not ours at its word."""


CHECKS: dict[str, Callable[[Command], None]] = {
    "lienthong": parse_lienthong,
    "make": check_make,
    "python": check_python,
    "python3": check_python,
    **dict.fromkeys(
        ("apt-get", "buf", "cat", "cd", "curl", "git", "grep", "head", "jq", "kill", "pip", "source", "tail", "zcat"),
        check_nothing,
    ),
    # What docs/adding-a-sector.md types is run by tests/journeys/test_adding_a_sector.py.
    **dict.fromkeys(("lint-imports", "ruff"), check_nothing),
}


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_documented_command_can_be_typed(command: Command) -> None:
    """A program this test does not know fails: tell it above how to check one."""
    program = Path(command.words[0]).name

    assert program in CHECKS, f"{command}: nothing here knows how to check `{program}`"

    CHECKS[program](command)


@pytest.mark.parametrize("page", markdown.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_marked_as_such(page: Path) -> None:
    """A `$ …` line outside a `console` block would escape the test above."""
    assert markdown.prompts_outside_sessions(page) == []


@pytest.mark.parametrize("page", markdown.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Links between files of the project are relative and exist."""
    dead = [target for target in markdown.links(page) if not (page.parent / target).exists()]

    assert dead == []


def test_readme_shows_the_two_commands() -> None:
    """The README brings a reader to a running mesh."""
    shown = {" ".join(command.words) for command in COMMANDS if command.place.startswith("README.md")}

    assert {"make run", "make test"} & shown
