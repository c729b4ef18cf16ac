"""Lets services in at a running locality's NATS server that it did not know when it started (`lienthong serve`)."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mesh.doors.declared import declared
from mesh.doors.subjects import Door, door_of
from mesh.stack.nats import ACCOUNT, node_folder, user, write_config
from mesh.stack.nkey import nkey_of
from mesh.stack.secrets import write_private


def admit(data: Path, locality: str, services: Iterable[type[Any]], server: int | None) -> None:
    """Gives each service its nkey and its door, and has the server read them; `server` is its process id.

    They are kept with the server's files, so a restart of the mesh lets them in too.
    """
    doors = {one.name: door_of(one, locality) for one in map(declared, services) if one.on_bus}
    folder = node_folder(data, locality)
    if not doors or not (folder / "nats.conf").exists():
        return
    with _alone(folder):
        changed = _write_users(folder / "nats.conf", data / "credentials" / locality, doors)
        _write_guests(folder, guests(data, locality) | doors)
    if changed and server is not None:
        os.kill(server, signal.SIGHUP)


def guests(data: Path, locality: str) -> dict[str, Door]:
    """Returns the doors of services that were let in while the locality ran."""
    file = node_folder(data, locality) / "guests.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    return {name: Door(tuple(door["publish"]), tuple(door["subscribe"])) for name, door in kept.items()}


def _write_guests(folder: Path, doors: Mapping[str, Door]) -> None:
    kept = {name: {"publish": door.publish, "subscribe": door.subscribe} for name, door in doors.items()}
    write_private(folder / "guests.json", json.dumps(kept, indent=2) + "\n")


def _write_users(file: Path, credentials: Path, doors: Mapping[str, Door]) -> bool:
    """Adds or replaces users in the server's configuration; returns whether that changed it."""
    config = json.loads(file.read_text())
    before = config["accounts"][ACCOUNT]["users"]
    admitted = [user(nkey_of(credentials, name), door) for name, door in doors.items()]
    keys = {one["nkey"] for one in admitted}
    after = [one for one in before if one.get("nkey") not in keys] + admitted
    config["accounts"][ACCOUNT]["users"] = after
    write_config(file, config)
    return any(one not in before for one in admitted)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps two processes that join at the same time from writing over each other."""
    with (folder / "guests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
