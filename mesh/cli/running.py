"""The running mesh as the command line reaches it: addresses and tokens that `lienthong up` wrote down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import nats
from nats.aio.client import Client as Nats
from nats.errors import Error as NatsError

from lienthong.mesh.v1 import ListServicesRequest
from mesh.bus import login
from mesh.cli import joined
from mesh.cli.exits import NoMesh, UsageError
from mesh.cli.interrupts import run_interruptibly
from mesh.client import Client
from mesh.config import Settings, load
from mesh.errors import ConfigurationError, Unavailable
from mesh.identity import OPERATOR
from mesh.installed import installed_services
from mesh.stack.database_users import as_user, keep_services
from mesh.stack.endpoints import Endpoints, LocalityEndpoints
from mesh.stack.endpoints import read as read_endpoints
from mesh.stack.guests import admit
from mesh.stack.keys import Keys
from mesh.stack.mongod import ROOT
from mesh.stack.secrets import Secrets
from mesh.tls import Tls

NODE: Final = "lienthong.mesh.v1.NodeService"
MONGOD: Final = "mongod"
"""The child of `lienthong up` that is absent where MongoDB is your own."""
ENVIRONMENT: Final = "lienthong.environment.v1.EnvironmentService"
EXCHANGE: Final = "lienthong.exchange.v1.ExchangeService"

_SERVER_STREAM_S: Final = 120.0
"""Longest time a log may take to be read."""


class RunningMesh:
    """Localities by slug, and clients for their services. Made and closed on one event loop."""

    def __init__(self, endpoints: Endpoints, folder: Path) -> None:
        self.endpoints = endpoints
        self.folder = folder
        self._clients: dict[tuple[str, str], Client] = {}
        self._tls: dict[str, Tls] = {}
        self._nats: dict[str, Nats] = {}
        self._elsewhere: dict[tuple[str, str], str] = {}
        """Addresses of services that run in processes of their own, by locality and name."""

    @property
    def localities(self) -> tuple[str, ...]:
        """Slugs of what runs."""
        return tuple(self.endpoints.localities)

    def chosen(self, locality: str | None) -> tuple[str, ...]:
        """The locality asked for, or all. Raises UsageError when it does not run here."""
        if locality is None:
            return self.localities
        self.at(locality)
        return (locality,)

    def at(self, locality: str) -> LocalityEndpoints:
        """Addresses of one locality. Raises UsageError when it does not run here."""
        found = self.endpoints.localities.get(locality)
        if found is None:
            raise UsageError(f"{locality} does not run here; running: {', '.join(self.localities)}")
        return found

    def client(self, locality: str, service: str, address: str = "") -> Client:
        """Client of a service by its full name, with the operator's token; at the locality's own process or another."""
        at = self.at(locality)
        key = (service, address or at.grpc)
        if key not in self._clients:
            self._clients[key] = Client(service, key[1], token=lambda: at.token, tls=self.tls(locality))
        return self._clients[key]

    def tls(self, locality: str) -> Tls:
        """How the operator calls the locality's services. Raises ConfigurationError when a file is missing."""
        if locality not in self._tls:
            self._tls[locality] = Tls.of(self.at(locality).credentials)
        return self._tls[locality]

    async def services(self, locality: str) -> list[str]:
        """Names of the services of a locality, those of processes that joined it included."""
        answer = await self.client(locality, NODE).call("ListServices", ListServicesRequest())
        elsewhere = {
            name: process.grpc
            for process in joined.read(self.folder)
            for name in process.services
            if process.locality == locality and name not in answer.services
        }
        self._elsewhere |= {(locality, name): address for name, address in elsewhere.items()}
        return [*answer.services, *sorted(elsewhere)]

    async def ask(self, locality: str, method: str, request: Any) -> Any:
        """Asks the runtime of the service the request names about that service."""
        return await self._node(locality, request).call(method, request, repeatable=True)

    async def pages(self, locality: str, method: str, request: Any) -> AsyncIterator[Any]:
        """As `ask`, for a method that answers with a stream."""
        async for page in self._node(locality, request).stream(method, request, deadline_s=_SERVER_STREAM_S):
            yield page

    def _node(self, locality: str, request: Any) -> Client:
        return self.client(locality, NODE, self._elsewhere.get((locality, request.service), ""))

    async def nats(self, locality: str) -> Nats:
        """Connection to a locality's NATS server. Raises Unavailable when it does not answer."""
        if locality not in self._nats:
            try:
                at = self.at(locality)
                self._nats[locality] = await nats.connect(
                    at.nats,
                    **login(Path(at.credentials).parent, OPERATOR),
                    connect_timeout=2,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.25,
                    error_cb=_ignore,
                )
            except (NatsError, OSError, TimeoutError) as error:
                raise Unavailable(f"NATS of {locality} does not answer: {type(error).__name__}") from error
        return self._nats[locality]

    async def close(self) -> None:
        """Closes all connections."""
        await asyncio.gather(*(connection.close() for connection in self._nats.values()))
        await asyncio.gather(*(client.close() for client in self._clients.values()))


@asynccontextmanager
async def running_mesh(data: Path | None = None) -> AsyncIterator[RunningMesh]:
    """The mesh that `lienthong up` runs. Raises NoMesh when none does."""
    settings = load() if data is None else load(data_dir=data)
    mesh = RunningMesh(endpoints_of(settings), settings.endpoints_file().parent)
    try:
        yield mesh
    finally:
        await mesh.close()


def endpoints_of(settings: Settings) -> Endpoints:
    """Where the mesh of these settings is reached. Raises NoMesh."""
    try:
        return read_endpoints(settings.endpoints_file())
    except ConfigurationError as error:
        raise NoMesh(str(error)) from None


def with_mesh(data: Path | None, action: Callable[[RunningMesh], Any]) -> Any:
    """Runs an asynchronous action on the running mesh, from a command's plain function."""

    async def run() -> Any:
        async with running_mesh(data) as mesh:
            return await action(mesh)

    return run_interruptibly(run())


def joined_settings(**given: Any) -> tuple[Settings, Path | None]:
    """Settings of a process that joins the mesh that runs here, if one does: its servers, keys and addresses.

    A process whose MongoDB or NATS is set belongs to another mesh, and takes nothing. What is set stays. Also returns
    the folder of the mesh it joins.
    """
    settings = load(**given)
    file = settings.endpoints_file()
    if settings.model_fields_set & {"mongodb_uri", "nats_url"} or not file.exists():
        return settings, None
    endpoints = endpoints_of(settings)
    if settings.locality not in endpoints.localities:
        raise UsageError(f"{settings.locality} does not run here; running: {', '.join(endpoints.localities)}")
    offered = _offered(endpoints, settings.locality, file.parent)
    taken = {name: value for name, value in offered.items() if name not in settings.model_fields_set}
    return load(**taken, **given), file.parent


def let_in(data: Path, settings: Settings, services: Sequence[type[Any]]) -> None:
    """Opens the doors of services that the running mesh did not know when it started."""
    endpoints = endpoints_of(settings)
    asyncio.run(_admit(data, settings.locality, services, endpoints))
    if MONGOD in endpoints.processes:
        root = as_user(endpoints.mongodb, ROOT, Secrets(data / "secrets.json")["mongodb.root"])
        names, folder = [service.name for service in services], data / "credentials" / settings.locality
        asyncio.run(keep_services(root, folder, settings.locality, names))


async def _admit(data: Path, locality: str, services: Sequence[type[Any]], endpoints: Endpoints) -> None:
    server, url = endpoints.processes.get(f"{locality}.nats"), endpoints.localities[locality].nats
    await admit(data, locality, services, server, url)


def _offered(endpoints: Endpoints, locality: str, data: Path) -> dict[str, Any]:
    keys = Keys(data / "keys")
    here = endpoints.localities[locality]
    return {
        "data_dir": data,
        "credentials_dir": Path(here.credentials).parent,
        "mongodb_uri": as_user(endpoints.mongodb) if MONGOD in endpoints.processes else endpoints.mongodb,
        "nats_url": here.nats,
        "peers": {slug: at.grpc for slug, at in endpoints.localities.items() if slug != locality},
        "services": dict.fromkeys(installed_services(), here.grpc),
        "auth": {
            "private_key_file": keys.file(locality),
            "issuers": keys.issuers(endpoints.localities),
        },
    }


async def _ignore(error: Exception) -> None:
    """Keeps nats-py from printing a traceback while a server is away."""
