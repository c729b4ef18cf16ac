"""A process of Lienthong as it is measured: `mesh.host.Host` with some services."""

from __future__ import annotations

import importlib
import time
from typing import Any

from bench.contract import Changed
from bench.processes import Link
from mesh.commit import Committed, Outcome
from mesh.config import load
from mesh.container import MeshContainer
from mesh.events import catalogue
from mesh.host import Host
from mesh.loop import run as run
from mesh.relay import Relay
from mesh.unit import Run


class Moments:
    """When documents of some collections became durable: the moment their commit was answered."""

    def __init__(self, host: Host, collections: dict[str, str]) -> None:
        self._moments: dict[str, dict[str, float]] = {collection: {} for collection in collections.values()}
        for service, collection in collections.items():
            self._watch(host.containers[service], collection)

    def _watch(self, container: MeshContainer, wanted: str) -> None:
        moments, commit, commit_if_quiet = self._moments[wanted], container.commit, container.commit_if_quiet

        def note(run: Run, outcome: Outcome | None) -> None:
            if isinstance(outcome, Committed):
                now = time.time()
                moments.update((id, now) for unit in run.units for name, id in unit.staged if name == wanted)

        async def commit_and_note(run: Run) -> Outcome:
            note(run, outcome := await commit(run))
            return outcome

        def commit_if_quiet_and_note(run: Run) -> Outcome | None:
            note(run, outcome := commit_if_quiet(run))
            return outcome

        container.commit = commit_and_note  # type: ignore[method-assign]
        container.commit_if_quiet = commit_if_quiet_and_note  # type: ignore[method-assign]

    async def take(self, collection: str) -> dict[str, Any]:
        """Moments by document id since it was last asked."""
        taken = dict(self._moments[collection])
        for id in taken:
            del self._moments[collection][id]
        return {"moments": taken}


async def main(
    link: Link, services: list[str], settings: dict[str, Any], moments: dict[str, str] | None = None
) -> None:
    """Runs services, given as `module:Class`, until the measurement ends."""
    catalogue().add(Changed)
    host = Host(load({}, **settings), [_class(service) for service in services])
    await host.start()
    noted = Moments(host, moments or {})
    link.say(port=host.port)
    await link.serve({"moments": noted.take, "relay": lambda **given: _relay(host, **given)})
    await host.stop()


def _class(service: str) -> type[Any]:
    module, _, name = service.partition(":")
    found: type[Any] = getattr(importlib.import_module(module), name)
    return found


async def _relay(host: Host, service: str, until: int) -> dict[str, Any]:
    """Seconds the relay takes from now until a position is in the stream."""
    relay: Relay = host.containers[service].relays["events"]
    began = time.perf_counter()
    relay.reconnected()  # it looks at the log anew
    await relay.caught_up(until)
    return {"seconds": time.perf_counter() - began}
