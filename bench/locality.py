"""A locality under measurement: its key, the settings of its process, and tokens to call it with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.processes import Process
from mesh.stack.keys import Keys
from mesh.stack.ports import LOOPBACK, free_port

BENCH = "bench.services:BenchService"
CONSEQUENCE = "bench.services:ConsequenceService"
NEIGHBOUR = "bench.services:NeighbourService"
HOUR = "bench.services:HourService"
ENVIRONMENT = "services.environment.service:EnvironmentService"
EXCHANGE = "services.exchange.service:ExchangeService"
GATEWAY = "gateway.events.service:EventGateway"


class Locality:
    """One locality of a measurement."""

    def __init__(self, folder: Path, slug: str = "da-nang") -> None:
        self.slug = slug
        self.port = free_port()
        self._folder = folder
        self._keys = Keys(folder)
        self.peers: list[Locality] = []
        """Other localities it knows."""

    @property
    def address(self) -> str:
        """Where its process is called."""
        return f"{LOOPBACK}:{self.port}"

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a call carries: a token for everything."""
        token = self._keys.token(self.slug, "bench", ["*"], ttl=timedelta(hours=6))
        return (("authorization", f"Bearer {token}"),)

    @asynccontextmanager
    async def host(
        self,
        mongodb: str,
        nats: str,
        services: Sequence[str],
        /,
        moments: dict[str, str] | None = None,
        **settings: Any,
    ) -> AsyncIterator[Process]:
        """Its process, with these services. `moments`: the collection by service whose commits are timed."""
        everyone = [self, *self.peers]
        given = {
            "locality": self.slug,
            "insecure": True,
            "mongodb_uri": mongodb,
            "nats_url": nats,
            "grpc_port": self.port,
            "peers": {peer.slug: peer.address for peer in self.peers},
            "auth": {
                "private_key_file": str(self._keys.file(self.slug)),
                "issuers": self._keys.issuers(one.slug for one in everyone),
            },
            **settings,
        }
        log = self._folder / f"{self.slug}.log"
        start = Process.start("bench.host", log=log, services=list(services), settings=given, moments=moments or {})
        async with start as process:
            yield process
