"""Commands and links as they stand in the documentation."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```\s*$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>.*)", re.DOTALL)

SCRIPT = {"sh", "bash", "shell"}
SESSION = {"console"}


@dataclass(frozen=True)
class Command:
    """One program call of a documented command line."""

    place: str
    """File and line."""
    environ: dict[str, str]
    """Variables set before it."""
    words: tuple[str, ...]
    """The program and its arguments."""

    def __str__(self) -> str:
        return f"{self.place} {' '.join(self.words)}"


def pages() -> list[Path]:
    """Returns every page of the documentation, the services' own included."""
    folders = (
        ROOT,
        *(ROOT / name for name in ("docs", "services", "gateway", "mesh", "examples", "observability", "bench")),
    )
    found = [page for folder in folders[1:] for page in folder.rglob("*.md")]
    return sorted([*folders[0].glob("*.md"), *found])


def command_lines(page: Path) -> Iterator[tuple[str, str]]:
    """Yields place and text of each command line: all of a `sh` block, those after `$` in a `console` block."""
    text = page.read_text(encoding="utf-8")
    for block in FENCE.finditer(text):
        first = text.count("\n", 0, block.start("body")) + 1
        session = block["language"] in SESSION
        if not session and block["language"] not in SCRIPT:
            continue
        for number, line in _joined(block["body"], first):
            stripped = line.strip()
            if session and not stripped.startswith("$ "):
                continue
            yield f"{_name(page)}:{number}", stripped.removeprefix("$ ")


def prompts_outside_sessions(page: Path) -> list[str]:
    """Returns lines that look like typed commands in blocks not marked `console`, which nobody would check."""
    text = page.read_text(encoding="utf-8")
    blocks = (block for block in FENCE.finditer(text) if block["language"] not in SESSION)
    return [line for block in blocks for line in block["body"].splitlines() if line.strip().startswith("$ ")]


def commands(page: Path) -> Iterator[Command]:
    """Yields each program call: pipelines and lists are taken apart, redirections dropped."""
    for place, line in command_lines(page):
        for words in _calls(line):
            environ: dict[str, str] = {}
            while words and (assigned := ASSIGNMENT.fullmatch(words[0])):
                environ[assigned["name"]] = assigned["value"]
                words.pop(0)
            if words:
                yield Command(place, environ, tuple(words))


def links(page: Path) -> Iterator[str]:
    """Yields targets of links to other files of the project."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in LINK.finditer(prose):
        target = link["target"].partition("#")[0]
        if target and "://" not in target and not target.startswith("mailto:"):
            yield target


def _name(page: Path) -> Path:
    return page.relative_to(ROOT) if page.is_relative_to(ROOT) else page


def _joined(body: str, first: int) -> Iterator[tuple[int, str]]:
    """Joins lines continued with a backslash, or inside single quotes."""
    pending, start = "", first
    for number, line in enumerate(body.splitlines(), first):
        start = start if pending else number
        pending += line
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        if pending.startswith("$ ") and pending.count("'") % 2:
            pending += "\n"
            continue
        yield start, pending
        pending = ""


def _calls(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    redirected = False
    for token in lexer:
        if set(token) <= set("|&;"):
            yield words
            words = []
        elif set(token) <= set("<>"):
            redirected = True
        elif redirected:
            redirected = False
        else:
            words.append(token)
    yield words
