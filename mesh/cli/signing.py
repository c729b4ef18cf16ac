"""The keys that localities of the mesh on this machine sign with, as the command line reaches them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mesh.cli.exits import NoMesh
from mesh.config import load
from mesh.stack.keys import Keys


def keys_of(data: Path | None, localities: Iterable[str]) -> Keys:
    """The keys in the folder of a mesh. Raises NoMesh when a locality has none there."""
    settings = load() if data is None else load(data_dir=data)
    folder = settings.endpoints_file().parent
    keys = Keys(folder / "keys")
    for slug in localities:
        if not keys.known(slug):
            raise NoMesh(f"{folder} holds no key of {slug}: start a mesh with it, `lienthong up --localities {slug}`")
    return keys
