"""`grpc.health.v1`: whether a process serves. Some who ask have no certificate: they get a port of their own."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from mesh.errors import Unavailable

NAME: Final = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """What a process says of itself and of each of its services."""

    def __init__(self) -> None:
        self._servicer: Any = health_aio.HealthServicer()
        self._probed: grpc.aio.Server | None = None

    def register(self, server: grpc.aio.Server) -> None:
        """Lets a server answer for it."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def answer_probes(self, address: str) -> None:
        """Answers at an address in the clear, and nothing else there. The kubelet's gRPC probes know no TLS."""
        self._probed = grpc.aio.server()
        self.register(self._probed)
        try:
            self._probed.add_insecure_port(address)
        except RuntimeError as error:
            raise Unavailable(f"cannot listen on {address}: is the port taken?") from error
        await self._probed.start()

    async def say(self, services: Collection[str], *, serving: bool) -> None:
        """Says so of the process and of these services."""
        for name in ("", *services):
            await self._servicer.set(name, _SERVING if serving else _NOT_SERVING)

    async def close(self) -> None:
        """Answers probes no more."""
        if self._probed is not None:
            await self._probed.stop(grace=None)
