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
import nats
from grpc_reflection.v1alpha import reflection
from nats.aio.client import Client
from nats.js import JetStreamContext
from pymongo import MongoClient
from pymongo.errors import ConnectionFailure

from mesh import health, node, public_reflection, telemetry
from mesh.auth import TokenSource, Verifier, load_private_key, load_public_keys
from mesh.certificate_files import CertificateFiles
from mesh.clock import SystemTime, Time
from mesh.config import Settings
from mesh.container import MeshContainer
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
from mesh.unit import Raw

_logger = logging.getLogger(__name__)

_SERVER_SELECTION_MS = 2000
_SOCKET_TIMEOUT_MS = 20_000


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
        self.nats: Client
        self.jetstream: JetStreamContext
        self._services = services
        self._tokens: dict[tuple[str, str], TokenSource] = {}
        self._certificate: CertificateFiles | None = None
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
        self.mongo: MongoClient[Raw] = MongoClient(
            self.settings.mongodb_uri,
            readConcernLevel="majority",
            w="majority",
            journal=True,
            tz_aware=True,
            serverSelectionTimeoutMS=_SERVER_SELECTION_MS,
            socketTimeoutMS=_SOCKET_TIMEOUT_MS,
            connect=False,
        )
        self.telemetry = telemetry.setup(self.settings, [service.name for service in self._services])
        self.neighbours = Neighbours(self)
        self.containers = {service.name: MeshContainer(service, self) for service in self._services}
        self._server = self._make_server()
        await asyncio.gather(self._connect(), self._database_ready())
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
        if self._server is not None:
            await self._server.stop(grace=drain_s / 2)
        await asyncio.gather(*(container.stop_async() for container in self.containers.values()))
        await self.neighbours.close()
        await self._health.close()
        with contextlib.suppress(Exception):
            await self.nats.close()
        self.telemetry.shutdown()
        self.pool.close()
        self.mongo.close()

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
                load_private_key(file),
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
        """Connects to the node's NATS server, waiting for it as long as it takes."""
        password = self.settings.nats_password
        wait = 0.1
        while True:
            try:
                self.nats = await nats.connect(
                    self.settings.nats_url,
                    user=self.settings.nats_user,
                    password=password.get_secret_value() if password else None,
                    name=self.instance,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.25,
                    ping_interval=10,
                    max_outstanding_pings=2,
                    pending_size=32 << 20,
                    error_cb=_log_error,
                    reconnected_cb=self._reconnected,
                )
                break
            except (TimeoutError, OSError, nats.errors.Error) as error:
                _logger.warning("waiting for NATS: %s", type(error).__name__)
                await asyncio.sleep(wait)
                wait = min(2 * wait, 2.0)
        self.jetstream = self.nats.jetstream(timeout=5)

    async def _database_ready(self) -> None:
        """Waits for MongoDB as long as it takes."""
        while True:
            try:
                await asyncio.to_thread(self.mongo.admin.command, "ping")
                return
            except ConnectionFailure as error:  # after serverSelectionTimeoutMS
                _logger.warning("waiting for MongoDB: %s", type(error).__name__)

    async def _reconnected(self) -> None:
        """Pull requests and acknowledgements die with the connection: cursors and relays begin anew."""
        for container in self.containers.values():
            for relay in container.relays.values():
                relay.reconnected()
            for flow in container.flows:
                for reader in flow.readers:
                    reader.lose("reconnected")

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
        door = Door(
            Verifier(load_public_keys(self.settings.auth.trusted_keys), self.settings.locality),
            self.settings.default_deadline_s,
            Gate(self.settings.locality) if self._certificate is not None else None,
        )
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


async def _log_error(error: Exception) -> None:
    _logger.warning("NATS: %s", type(error).__name__)
