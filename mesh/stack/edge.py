"""The edges: one Envoy per locality, configured by whoever registered in the entry-point group `lienthong.edge`.

`configure(place, files) -> EdgeCommand` writes the configuration, `documents(folder)` what the edge hands out beside
the services. Where no gateway is installed there is no edge.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from mesh.stack import binaries
from mesh.stack.edge_place import EdgeFiles, EdgePlace
from mesh.stack.envoy_admin import EnvoyAdmin
from mesh.stack.process import Child, ChildEvent

GROUP: Final = "lienthong.edge"

_READY_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class EdgeCommand:
    """How to run Envoy at one place."""

    configuration: Path
    program: Path | None = None
    """Envoy of the user's own; by default the wheel's."""
    threads: int = 1
    drain_timeout_s: float = 5.0
    """How long calls under way may take to finish."""


class Edges:
    """The edges of one data folder."""

    def __init__(self, data: Path, report: Callable[[ChildEvent], None]) -> None:
        self._data = data
        self._report = report
        self._children: dict[str, Child] = {}
        # The path of a socket may have 107 bytes, and a data folder may lie deep.
        self._sockets = Path(tempfile.mkdtemp(prefix="lienthong-"))

    async def add(self, places: Iterable[EdgePlace]) -> dict[str, Child]:
        """Configures an edge at each place and returns them by name, `da-nang.edge`."""
        configure = registered("configure")
        if configure is None:
            return {}
        documents = self._data / "documents"
        await asyncio.to_thread(registered("documents") or (lambda folder: None), documents)
        for place in places:
            files = EdgeFiles(
                folder=self._data / "edge" / place.locality,
                documents=documents,
                admin=self._sockets / f"{place.locality}.admin",
            )
            command = await asyncio.to_thread(configure, place, files)
            log = self._data / "logs" / f"{place.locality}.edge.log"
            child = edge_child(place.locality, command, files.admin, log=log, report=self._report)
            self._children[child.name] = child
        return dict(self._children)

    async def start(self) -> None:
        """Starts all; raises ChildFailed."""
        for child in self._children.values():
            await child.start()

    async def stop(self) -> None:
        """Stops all; calls under way finish first."""
        await asyncio.gather(*(child.stop() for child in self._children.values()))
        shutil.rmtree(self._sockets, ignore_errors=True)


def edge_child(
    locality: str, command: EdgeCommand, admin: Path, *, log: Path, report: Callable[[ChildEvent], None]
) -> Child:
    """Returns Envoy as a child that is drained before it is stopped; `admin` is its socket."""
    administration = EnvoyAdmin(admin)
    arguments: list[str | Path] = [
        *("--config-path", command.configuration),
        *("--concurrency", str(command.threads)),
        # Memory that Envoys share for restarts without a gap; here they would get in each other's way.
        "--disable-hot-restart",
        *("--log-level", "warning"),
        *("--file-flush-interval-msec", "1000"),
    ]
    return Child(
        f"{locality}.edge",
        [binaries.envoy(command.program), *arguments],
        log=log,
        ready=administration.ready,
        ready_timeout_s=_READY_TIMEOUT_S,
        before_stop=lambda: administration.drain(command.drain_timeout_s),
        report=report,
    )


def registered(name: str) -> Any:
    """Returns what the gateway registered under a name; None where no gateway is installed."""
    for point in entry_points(group=GROUP, name=name):
        return point.load()
    return None
