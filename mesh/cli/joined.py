"""Processes that joined a running mesh with `lienthong serve`, so that status, letters and recounts see them too."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
from pydantic import BaseModel, ValidationError

from mesh.stack.secrets import write_private

FOLDER: Final = "joined"


class Joined(BaseModel):
    """One of them."""

    pid: int
    locality: str
    services: list[str]
    grpc: str
    """Address `host:port` of the process."""


@contextmanager
def joined(data: Path | None, locality: str, services: Sequence[str], grpc: str) -> Iterator[None]:
    """Writes down, while the context lasts, that this process serves them; with no folder, nothing."""
    if data is None:
        yield
        return
    file = data / FOLDER / f"{os.getpid()}.json"
    entry = Joined(pid=os.getpid(), locality=locality, services=list(services), grpc=grpc)
    write_private(file, entry.model_dump_json() + "\n")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def read(data: Path) -> list[Joined]:
    """Those that still run; what a killed one left behind is passed over."""
    found = []
    for file in sorted((data / FOLDER).glob("*.json")):
        try:
            entry = Joined.model_validate_json(file.read_text())
        except (OSError, ValidationError):
            continue
        if psutil.pid_exists(entry.pid):
            found.append(entry)
    return found
