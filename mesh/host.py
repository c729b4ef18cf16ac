"""`Host`: one process. One asyncio loop, one pool of worker threads, one gRPC server, any number of services."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection
from nats.aio.client import Client

from mesh import bus, health, node, public_reflection, telemetry
from mesh.auth import TokenSource, Verifier, issuers, signing_key
from mesh.certificate_files import CertificateFiles
from mesh.clock import SystemTime, Time
from mesh.config import Settings
from mesh.container import MeshContainer
from mesh.databases import Databases
from mesh.deadlines import Deadlines
from mesh.ending import end
from mesh.errors import ConfigurationError, Unavailable
from mesh.gate import Gate
from mesh.gauges import keep_measuring
from mesh.health import Health
from mesh.neighbours import Neighbours
from mesh.pool import WorkerPool
from mesh.rpc import Door, handlers
from mesh.tls import PROCESS_FOLDER, Tls, server_credentials

_logger = logging.getLogger(__name__)


class Host:
    """Hosts the services of one locality that share a process."""

    def __init__(self, settings: Settings, services: Sequence[type[Any]], *, time: Time | None = None) -> None:
        self.settings = settings
        self.time = time or SystemTime()
        self.instance = f"{settings.instance}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.containers: dict[str, MeshContainer] = {}
        self.port = 0
        """Port the gRPC server listens on, once started."""
        self.loop: asyncio.AbstractEventLoop
        self._connections: list[Client] = []
        """To NATS."""
        self._services = services
        self._tokens: dict[tuple[str, str], TokenSource] = {}
        self._certificate: CertificateFiles | None = None
        self._verifier: Verifier | None = None
        self._server: grpc.aio.Server | None = None
        self._health = Health()
        self._measuring: asyncio.Task[None] | None = None
        self._posted: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._wake_up_due = False

    async def start(self) -> None:
        """Connects, starts every service, then answers calls; health says SERVING only at the end.

        Raises `ConfigurationError` before anything else where nothing is said about credentials.
        """
        folder = self.settings.credentials_folder()
        self._certificate = CertificateFiles(folder / PROCESS_FOLDER) if folder is not None else None
        self.loop = asyncio.get_running_loop()
        self.deadlines = Deadlines(self.loop)
        self.pool = WorkerPool(self.loop, self.post, self.settings.runtime.workers)
        self.databases = Databases(self.settings)
        self.telemetry = telemetry.setup(self.settings, [service.name for service in self._services])
        self.neighbours = Neighbours(self)
        self.containers = {service.name: MeshContainer(service, self) for service in self._services}
        self._server = self._make_server()
        writing = [name for name, container in self.containers.items() if container.writes]
        await asyncio.gather(self._connect(), self.databases.ready(writing))
        await asyncio.gather(*(container.start_async() for container in self.containers.values()))
        await self._server.start()
        if self.settings.health_port is not None:
            await self._health.answer_probes(f"{self.settings.grpc_host}:{self.settings.health_port}")
        await self._health.say(self.containers, serving=True)
        if self.settings.otlp_endpoint:
            self._measuring = asyncio.create_task(keep_measuring(self), name="gauges")

    async def stop(self) -> None:
        """Drains: says NOT_SERVING, answers the calls under way, stops the services, then closes connections."""
        await end([self._measuring])
        drain_s = self.settings.runtime.drain_timeout_s
        await self._health.say(self.containers, serving=False)
        for container in self.containers.values():
            container.drain()
        if self._server is not None:
            await self._server.stop(grace=drain_s / 2)
        await asyncio.gather(*(container.stop_async() for container in self.containers.values()))
        await self.neighbours.close()
        await self._health.close()
        for connection in self._connections:
            with contextlib.suppress(Exception):
                await connection.close()
        self.telemetry.shutdown()
        self.pool.close()
        if self._verifier is not None:
            self._verifier.close()
        self.databases.close()

    def post(self, function: Callable[..., Any], *args: Any) -> None:
        """Runs a function on the loop, from any thread; after the loop has ended, nothing.

        What is posted close together shares one wake-up of the loop. `_run_posted` lowers the flag before it takes
        anything, so whoever still saw it raised has appended in time.
        """
        self._posted.append((function, args))
        if not self._wake_up_due:
            self._wake_up_due = True
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self._run_posted)

    def _run_posted(self) -> None:
        self._wake_up_due = False
        while self._posted:
            function, args = self._posted.popleft()
            try:
                function(*args)
            except Exception:
                _logger.exception("what was posted to the loop failed")

    def own_token(self, *scopes: str, audience: str) -> TokenSource:
        """Tokens this locality signs for its own calls. Raises `ConfigurationError` without a private key."""
        wanted = (" ".join(scopes), audience)
        if wanted not in self._tokens:
            file = self.settings.auth.private_key_file
            if file is None:
                raise ConfigurationError("LIENTHONG_AUTH__PRIVATE_KEY_FILE is needed to call other processes")
            self._tokens[wanted] = TokenSource(
                signing_key(file),
                issuer=self.settings.locality,
                subject="mesh",
                scopes=scopes,
                audience=audience,
            )
        return self._tokens[wanted]

    def tls_to(self, locality: str) -> Tls | None:
        """How this process calls the services of a locality; None where it does without certificates."""
        return Tls(self._certificate, locality) if self._certificate is not None else None

    async def _connect(self) -> None:
        """Connects to the node's NATS server: each service that has business there on its own, with its own nkey.

        Where the process is told to do without credentials, they share one connection.
        """
        if self.settings.credentials_folder() is None:
            shared = await bus.connect(self.settings, self.instance, "", self._reconnected)
            self._connections.append(shared)
            for container in self.containers.values():
                container.join_bus(shared)
        else:
            await asyncio.gather(*(self._connect_one(one) for one in self.containers.values() if one.on_bus))

    async def _connect_one(self, container: MeshContainer) -> None:
        connection = await bus.connect(self.settings, self.instance, container.service_name, container.reconnected)
        self._connections.append(connection)
        container.join_bus(connection)

    async def _reconnected(self) -> None:
        for container in self.containers.values():
            await container.reconnected()

    def _make_server(self) -> grpc.aio.Server:
        size = self.settings.grpc_max_message_bytes
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", size),
                ("grpc.max_send_message_length", size),
                ("grpc.so_reuseport", 0),
                ("grpc.http2.min_ping_interval_without_data_ms", 5000),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.max_connection_age_ms", int(self.settings.grpc_connection_age_s * 1000)),
            ]
        )
        self._verifier = Verifier(issuers(self.settings.auth, self.settings.locality), self.settings.locality)
        gate = Gate(self.settings.locality) if self._certificate is not None else None
        door = Door(self._verifier, self.settings.default_deadline_s, gate)
        names = [reflection.SERVICE_NAME, health.NAME]
        for container in self.containers.values():
            handler = handlers(container, door)
            if handler is not None:
                server.add_generic_rpc_handlers((handler,))
                names.append(handler.service_name())  # type: ignore[attr-defined]
        names.append(node.register(server, self, door))
        self._health.register(server)
        reflection.enable_server_reflection(names, server)
        server.add_generic_rpc_handlers((public_reflection.handlers(),))
        address = f"{self.settings.grpc_host}:{self.settings.grpc_port}"
        try:
            if self._certificate is None:
                self.port = server.add_insecure_port(address)
            else:
                self.port = server.add_secure_port(address, server_credentials(self._certificate))
        except RuntimeError as error:
            raise Unavailable(f"cannot listen on {address}: is the port taken?") from error
        return server
