"""A page whose blocks are files and commands, to be applied to a copy of the tree in the order they stand in.

A block after a line that is a file name alone is that file; a TOML block for a file that exists adds lines below their
headings. What else stands in a `console` block is typed.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.markdown import FENCE, ROOT, SCRIPT, SESSION, Command, commands

_FILE_NAME = re.compile(r"^`(?P<path>[\w./-]+)`\n\n\Z", re.MULTILINE)
_NOT_COPIED = shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "node_modules")


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    line: int
    """Where it stands in its page."""
    language: str
    body: str
    file: str
    """The file it is, if it is one."""


def blocks(page: Path) -> Iterator[Block]:
    """Yields every block of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for fence in FENCE.finditer(text):
        named = _FILE_NAME.search(text, 0, fence.start())
        line = text.count("\n", 0, fence.start()) + 1
        yield Block(line, fence["language"], fence["body"], named["path"] if named else "")


def typed(page: Path) -> dict[int, list[Command]]:
    """The commands of each session, by the line its block stands in."""
    found = list(commands(page))
    sessions = [block for block in blocks(page) if block.language in SESSION | SCRIPT]
    ends = [block.line + block.body.count("\n") + 1 for block in sessions]
    return {
        block.line: [command for command in found if block.line < int(command.place.rpartition(":")[2]) < end]
        for block, end in zip(sessions, ends, strict=True)
    }


def copy_tree(folder: Path) -> Path:
    """Copies the project as a fresh checkout has it, without environment, data and generated code."""
    tree = folder / "lienthong"
    shutil.copytree(ROOT, tree, ignore=_NOT_COPIED)
    return tree


def apply(block: Block, tree: Path) -> None:
    """Writes the file a block is."""
    path = tree / block.file
    if path.exists():
        assert block.language == "toml", f"{block.file} is there already, and line {block.line} is no addition to it"
        path.write_text(_with_additions(path.read_text(encoding="utf-8"), block.body), encoding="utf-8")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.body, encoding="utf-8")


def _with_additions(text: str, added: str) -> str:
    heading = ""
    for line in filter(None, added.splitlines()):
        if line.startswith("["):
            heading = f"{line}\n"
            assert heading in text, f"there is no heading {line}"
        else:
            text = text.replace(heading, f"{heading}{line}\n", 1)
    return text
