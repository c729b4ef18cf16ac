"""Who has an account at a locality's NATS server: its services, and who joins while it runs (`lienthong serve`)."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from mesh.doors.accounts import accounts
from mesh.doors.declared import declared
from mesh.doors.subjects import Door, Reading, door_of
from mesh.stack.nats import answers, node_folder, write_config
from mesh.stack.nkey import Nkey, nkey_of
from mesh.stack.secrets import write_private

_RESIDENTS: Final = "residents.json"
_GUESTS: Final = "guests.json"
_RELOAD_WITHIN_S: Final = 10.0


def welcome(data: Path, locality: str, residents: Mapping[str, Door]) -> dict[str, Any]:
    """Returns the accounts of the services a locality starts with and of the guests it had before."""
    folder = node_folder(data, locality)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        _write(folder / _RESIDENTS, residents)
        return _accounts(data, locality, guests(data, locality) | dict(residents))


async def admit(data: Path, locality: str, services: Iterable[type[Any]], server: int | None, url: str) -> None:
    """Gives each service its nkey and its account, and has the server read them: its process id and address.

    They are kept with the server's files, so a restart of the mesh lets them in too.
    """
    doors = {one.name: door_of(one, locality) for one in map(declared, services) if one.on_bus}
    folder = node_folder(data, locality)
    if not doors or not (folder / "nats.conf").exists():
        return
    with _alone(folder):
        joined = guests(data, locality) | doors
        _write(folder / _GUESTS, joined)
        changed = _rewrite(folder / "nats.conf", _accounts(data, locality, _read(folder / _RESIDENTS) | joined))
    if changed and server is not None:
        nkeys = [nkey_of(data / "credentials" / locality, name) for name in doors]
        with contextlib.suppress(TimeoutError):  # a server that is down reads everything when it starts
            async with asyncio.timeout(_RELOAD_WITHIN_S):
                await _reload(server, url, nkeys)


def guests(data: Path, locality: str) -> dict[str, Door]:
    """Returns the doors of services that were let in while the locality ran."""
    return _read(node_folder(data, locality) / _GUESTS)


def _accounts(data: Path, locality: str, doors: Mapping[str, Door]) -> dict[str, Any]:
    credentials = data / "credentials" / locality
    return accounts(doors, {name: nkey_of(credentials, name).as_config() for name in doors})


async def _reload(server: int, url: str, nkeys: Iterable[Nkey]) -> None:
    """Twice: the imports of an account that a reload adds are there only from the next one on (NATS 2.15)."""
    os.kill(server, signal.SIGHUP)
    for nkey in nkeys:
        await _let_in(url, nkey)
    os.kill(server, signal.SIGHUP)


async def _let_in(url: str, nkey: Nkey) -> None:
    while True:
        if await answers(url, nkey, jetstream=False):
            return
        await asyncio.sleep(0.02)


def _rewrite(file: Path, wanted: Mapping[str, Any]) -> bool:
    """Replaces the accounts in the server's configuration; returns whether that changed it."""
    config = json.loads(file.read_text())
    before = config["accounts"]
    config["accounts"] = {**wanted, "SYS": before["SYS"]}
    write_config(file, config)
    return bool(config["accounts"] != before)


def _write(file: Path, doors: Mapping[str, Door]) -> None:
    write_private(file, json.dumps({name: asdict(door) for name, door in doors.items()}, indent=2) + "\n")


def _read(file: Path) -> dict[str, Door]:
    kept = json.loads(file.read_text()) if file.exists() else {}
    return {name: _door(door) for name, door in kept.items()}


def _door(kept: Mapping[str, Any]) -> Door:
    lists = {name: tuple(kept[name]) for name in ("publish", "subscribe", "logged")}
    return Door(**{**kept, **lists, "reads": tuple(Reading(**reading) for reading in kept["reads"])})


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps two processes that join at the same time from writing over each other."""
    with (folder / "guests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
