"""A sector team follows docs/adding-a-sector.md word by word, and has a sector.

Each block is applied to a copy of the tree and each command typed in it, in the order of the page. The one thing not
done is to download: the copy uses this environment, told of the copy's entry points as `make setup` would tell it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tomllib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.docs import walkthrough
from tests.docs.markdown import ROOT, Command
from tests.docs.walkthrough import Block

PAGE = ROOT / "docs" / "adding-a-sector.md"
STAY = {("lienthong", "up"): "It stays up", ("lienthong", "events"): "waiting for events"}
"""Commands that go on while the next are typed, and what they say when they are ready."""


@dataclass
class Team:
    """Somebody who does what a page says, in a tree of their own."""

    tree: Path
    environ: dict[str, str]
    answer: str = ""
    """What the latest command said."""
    staying: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def follow(self, page: Path) -> None:
        """Applies every block of a page in order."""
        sessions = walkthrough.typed(page)
        for block in walkthrough.blocks(page):
            if block.file:
                walkthrough.apply(block, self.tree)
            for command in sessions.get(block.line, []):
                await self.type(command)
            if check := SHOWN.get(block.language if not block.file else ""):
                await check(self, block)

    async def type(self, command: Command) -> None:
        """Types a command, and waits for its end, or until it is ready where it stays."""
        program, *rest = command.words
        if program == "source":
            return
        if command.words == ("make", "setup"):
            self.install()
        elif ready := STAY.get(command.words[:2]):
            self.staying[rest[0]] = await self.start(*command.words)
            await self.said(self.staying[rest[0]], ready)
        else:
            # The environment is another tree's: it is never older than what this copy adds.
            words = (program, "-o", ".venv/.ready", *rest) if program == "make" else command.words
            await self.run(command, *words)

    async def run(self, command: Command, *words: str) -> None:
        """Runs a command to its end; one that is refused fails the test with what it said."""
        process = await self.start(*words)
        said, _ = await process.communicate()
        self.answer = said.decode()
        assert process.returncode == 0, f"{command}\n{self.answer}"

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *words,
            cwd=self.tree,
            env=self.environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def said(self, process: asyncio.subprocess.Process, text: str) -> str:
        """Reads what a process says until a line holds the text."""
        assert process.stdout is not None
        heard = ""
        async with asyncio.timeout(60):
            while line := (await process.stdout.readline()).decode():
                heard += line
                if text in line:
                    return line
        raise AssertionError(f"it ended without {text!r}:\n{heard}")

    def install(self) -> None:
        """Makes the tree's entry points known, as an editable install of it would."""
        project = tomllib.loads((self.tree / "pyproject.toml").read_text())["project"]
        folder = self.tree / "build" / "installed" / f"{project['name']}-{project['version']}.dist-info"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
        groups = {"console_scripts": project["scripts"], **project["entry-points"]}
        lines = (
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
            for group, points in groups.items()
        )
        (folder / "entry_points.txt").write_text("".join(lines))

    async def shows_json(self, block: Block) -> None:
        """The page shows what the latest command answered."""
        assert self.answer.strip() == block.body.strip()

    async def shows_event(self, block: Block) -> None:
        """The page shows the event that was watched for, but for its time and id."""
        line = await self.said(self.staying["events"], "NoiseLimitExceeded")
        assert line.split()[2:] == block.body.split()[2:]

    async def leave(self) -> None:
        """Ends what stays, as Ctrl-C does."""
        for process in reversed(self.staying.values()):
            if process.returncode is None:
                process.send_signal(2)
            await process.communicate()


SHOWN: dict[str, Callable[[Team, Block], Any]] = {"json": Team.shows_json, "text": Team.shows_event}


@pytest.fixture
async def team(tmp_path: Path) -> AsyncIterator[Team]:
    tree = walkthrough.copy_tree(tmp_path)
    (tree / ".venv").symlink_to(sys.prefix)
    imported = [tree, tree / "build" / "gen", tree / "build" / "installed"]
    environ = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(map(str, imported)),
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "200",
    }
    team = Team(tree, environ)
    yield team
    await team.leave()


@pytest.mark.timeout(240)
async def test_a_sixth_sector_is_added_by_following_the_page(team: Team) -> None:
    """Contract, rule, service, tests, entry points: at the end its event is seen in another locality."""
    await team.follow(PAGE)

    assert (team.tree / "services" / "noise" / "service.py").is_file()
    assert set(team.staying) == {"up", "events"}


async def test_a_broken_block_is_found(team: Team, tmp_path: Path) -> None:
    """The page is not taken at its word: here two fields of a message have one number."""
    broken = tmp_path / "broken.md"
    broken.write_text(PAGE.read_text().replace("  double level_dba = 3;\n", "  double level_dba = 1;\n", 1))

    with pytest.raises(AssertionError, match=r"make proto[\s\S]*Field number 1 has already been used"):
        await team.follow(broken)
