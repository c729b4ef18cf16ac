"""Passwords of the embedded default: generated once per data folder, readable by their owner only."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path


def write_private(file: Path, text: str) -> None:
    """Writes a file only its owner can read, replacing it in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text)
    fresh.replace(file)


class Secrets:
    """Passwords by name; each stays the same from one start to the next."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}

    def __getitem__(self, name: str) -> str:
        """Returns the password for `name`, made on first use."""
        if name not in self._known:
            self._known[name] = secrets.token_urlsafe(24)
            write_private(self._file, json.dumps(self._known, indent=2, sort_keys=True) + "\n")
        return self._known[name]
