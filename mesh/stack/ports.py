"""Picks TCP ports on the loopback interface and keeps them from one start to the next."""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"

_LOWEST = 20_000
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def is_free(port: int) -> bool:
    """Tells whether a server could listen on the port now."""
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Returns a free port below the ephemeral range.

    The kernel hands out ephemeral ports to clients: while a server on such a port is down, its port may be given away,
    even to a client that tries to reach it, which is then connected to itself and keeps the server from coming back.
    """
    ports = range(_LOWEST, max(_LOWEST + 1000, _ephemeral_start()))
    for port in random.sample(ports, len(ports)):
        if is_free(port):
            return port
    raise OSError(f"no free port between {ports.start} and {ports.stop}")


class Ports:
    """The ports of one data folder by name; each stays the same as long as it is free at the next start."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._before: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        self._chosen: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        """Returns the port for `name`, chosen once per run."""
        if name not in self._chosen:
            self._chosen[name] = self._choose(name)
            self._file.write_text(json.dumps(self._before | self._chosen, indent=2, sort_keys=True) + "\n")
        return self._chosen[name]

    def _choose(self, name: str) -> int:
        before = self._before.get(name)
        if before is not None and is_free(before):
            return before
        taken = {*self._before.values(), *self._chosen.values()}
        while (port := free_port()) in taken:
            pass
        return port


def _ephemeral_start() -> int:
    try:
        return int(_EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError):
        return 32_768
