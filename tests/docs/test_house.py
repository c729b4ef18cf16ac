"""What the Makefile and the list of dependencies promise."""

import re
import subprocess
import tomllib

from tests.docs.markdown import ROOT

TARGETS = ("help", "setup", "run", "test", "check", "bench", "soak", "proto", "clean")


def test_make_alone_lists_every_target() -> None:
    """`make` is the table of contents."""
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert [target for target in TARGETS if not re.search(rf"^  make {target} +\w", shown, re.MULTILINE)] == []


def test_every_dependency_says_what_it_is_for() -> None:
    """A package nobody can explain has no place in the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "dependencies.md").read_text()
    required = [
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
    ]
    names = [re.split(r"[\[<>=; ]", requirement)[0] for requirement in required]

    assert [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", page)] == []


def test_every_dependency_is_locked_with_a_hash() -> None:
    """What `make setup` installs is what was resolved, byte for byte."""
    lock = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^[\w.-]+==\S+(?: ; [^\\]+)? \\\n +--hash=sha256:", lock, re.MULTILINE)

    assert len(pinned) == len(re.findall(r"^[\w.-]+==", lock, re.MULTILINE)) > 50


def test_the_lock_says_nothing_of_where_packages_came_from() -> None:
    """It works wherever the packages are."""
    assert "://" not in (ROOT / "requirements.lock").read_text()
