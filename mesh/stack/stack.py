"""The embedded default as a whole: every server and service of a few localities, started, watched and stopped."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from mesh.auth import TokenSource
from mesh.doors.declared import declared
from mesh.doors.subjects import Door, door_of, operators_door
from mesh.ending import end
from mesh.errors import ConfigurationError
from mesh.identity import EDGE, OPERATOR
from mesh.installed import installed_services, service_class
from mesh.stack.agreements import Exchanges, keep_applied
from mesh.stack.authority import Lifetimes
from mesh.stack.binaries import MONGODB_URI_VARIABLE, NATS_URL_VARIABLE
from mesh.stack.bus import Bus
from mesh.stack.certificates import Certificates, keep_renewed
from mesh.stack.database_users import READER, as_user, keep_reader, keep_services
from mesh.stack.edge import Edges
from mesh.stack.edge_place import EdgePlace
from mesh.stack.endpoints import Endpoints, LocalityEndpoints
from mesh.stack.folder import DataFolder
from mesh.stack.keys import Keys
from mesh.stack.mongod import Mongod
from mesh.stack.nkey import nkey_of
from mesh.stack.permissions import Pair
from mesh.stack.ports import LOOPBACK, Ports
from mesh.stack.process import Child, ChildEvent, Happening
from mesh.stack.secrets import Secrets
from mesh.stack.services import service_child, service_settings
from mesh.tls import Tls


class Stack:
    """Servers and services of some localities as children of this process.

    `async with Stack(["da-nang", "hue"], Path(".lienthong")) as stack:` starts mongod, the hub, one nats-server and one
    process with all services per locality; inside, all of them are ready. What crashes is restarted, and reported to
    `on_event` and in `events`. Leaving stops them in reverse order.
    """

    def __init__(
        self,
        localities: Sequence[str],
        data_dir: Path,
        *,
        fresh: bool = False,
        serve: bool = True,
        services: Sequence[str] | None = None,
        mongodb_uri: str | None = None,
        nats_url: str | None = None,
        on_event: Callable[[ChildEvent], None] = lambda event: None,
        active_pairs: Callable[[], Awaitable[Collection[Pair]]] | None = None,
        lifetimes: Lifetimes | None = None,
    ) -> None:
        """Without `services` every one that is installed runs; with `serve=False` only the servers do.

        `mongodb_uri` and `nats_url`, by default from the environment, name servers that run already; in `nats_url`
        `{locality}` stands for the slug. `active_pairs` tells which (provider, recipient) the hub lets through, by
        default those with an ACTIVE agreement in both localities' exchanges. `lifetimes` are those of certificates.
        """
        self.localities = tuple(dict.fromkeys(localities))
        self.events: list[ChildEvent] = []
        self.children: dict[str, Child] = {}
        self.bus: Bus | None = None
        self._folder = DataFolder(data_dir, fresh=fresh)
        self._lifetimes = lifetimes
        self._tls: dict[str, Tls] = {}
        self._services = tuple(installed_services() if services is None else services) if serve else ()
        places = {*installed_services().values(), *self._services} - installed_services().keys()
        self._declared = [declared(service_class(place)) for place in sorted(places)]
        self._on_event = on_event
        self._active_pairs = active_pairs
        self._mongodb_uri = mongodb_uri or os.environ.get(MONGODB_URI_VARIABLE, "")
        self._nats_url = nats_url or os.environ.get(NATS_URL_VARIABLE, "")
        self._running = AsyncExitStack()
        self._complete = False
        if self._nats_url and len(self.localities) > 1 and "{locality}" not in self._nats_url:
            raise ConfigurationError(
                f"{NATS_URL_VARIABLE} names one server for {len(self.localities)} localities, and each needs its own;"
                " write `{locality}` where the slug belongs, as in nats://nats-{locality}:4222"
            )

    @property
    def data(self) -> Path:
        """The data folder."""
        return self._folder.path

    @property
    def endpoints_file(self) -> Path:
        """Says how to reach the mesh while it runs."""
        return self.data / "endpoints.json"

    @property
    def mongodb_uri(self) -> str:
        """Connection string of MongoDB: of ours as root."""
        return self._mongodb_uri

    def child(self, name: str) -> Child:
        """Returns a child by name: `mongod`, `hub`, `da-nang.nats`, `da-nang.services`."""
        return self.children[name]

    def grpc_address(self, locality: str) -> str:
        """Returns `host:port` of the locality's services."""
        return f"{LOOPBACK}:{self._ports[f'{locality}.grpc']}"

    def edge_url(self, locality: str) -> str | None:
        """Returns the URL by which outsiders reach the locality; None where there is no edge."""
        return f"https://localhost:{self._ports[f'{locality}.edge']}" if f"{locality}.edge" in self.children else None

    def token(self, locality: str) -> str:
        """Returns an operator token for the locality."""
        return self._keys.operator_token(locality)

    def tls(self, locality: str) -> Tls:
        """Returns how the operator calls the locality's services."""
        if locality not in self._tls:
            self._tls[locality] = Tls.of(self.certificates.folder(locality, OPERATOR))
        return self._tls[locality]

    def credentials(self, locality: str) -> Path:
        """Returns the folder with what each principal of the locality proves itself with."""
        return self.certificates.credentials(locality)

    def nats_url(self, locality: str) -> str:
        """Returns the URL of the locality's nats-server."""
        if self.bus is None:
            return self._nats_url.replace("{locality}", locality)
        return self.bus.nodes[locality].url

    def endpoints(self) -> Endpoints:
        """Returns how to reach the mesh now."""
        return Endpoints(
            pid=os.getpid(),
            mongodb=self._mongodb_uri_as(READER, self._secrets["mongodb.reader"]),
            hub=self.bus.hub.server.url if self.bus else None,
            hub_applied=str(self.bus.hub.applied_file) if self.bus else None,
            localities={slug: self._locality_endpoints(slug) for slug in self.localities},
            processes={name: child.pid for name, child in self.children.items() if child.pid is not None},
        )

    def _locality_endpoints(self, locality: str) -> LocalityEndpoints:
        return LocalityEndpoints(
            grpc=self.grpc_address(locality),
            nats=self.nats_url(locality),
            token=self.token(locality),
            ca=str(self.certificates.ca),
            credentials=str(self.certificates.folder(locality, OPERATOR)),
            edge=self.edge_url(locality),
        )

    async def cut_leaf(self, locality: str) -> None:
        """Cuts the locality off from all others until `rejoin`; its own servers and services go on."""
        await self._own_bus().hub.bar(locality)

    async def rejoin(self, locality: str) -> None:
        """Lets the locality join again and returns when it has."""
        hub = self._own_bus().hub
        await hub.admit(locality)
        await hub.wait_linked([locality])

    async def __aenter__(self) -> Self:
        """Starts everything; when something does not start, stops what did.

        Raises ConfigurationError (data folder, missing program) and ChildFailed.
        """
        async with AsyncExitStack() as starting:
            await self._start(starting)
            self._running = starting.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._running.aclose()

    async def _start(self, starting: AsyncExitStack) -> None:
        starting.enter_context(self._folder)
        self._ports = Ports(self.data / "ports.json")
        self._secrets = Secrets(self.data / "secrets.json")
        self._keys = Keys(self.data / "keys")
        starting.callback(self._forget_endpoints)
        self._start_renewing(starting)
        for slug in self.localities:
            for principal in self._doors(slug):
                nkey_of(self.credentials(slug), principal)
        if not self._mongodb_uri:
            await self._start_mongod(starting)
        if not self._nats_url:
            await self._start_bus(starting)
        if self._services:
            await self._start_services(starting)
            await self._start_edges(starting)
        if self.bus is not None and (self._active_pairs or self._services):
            self._start_applying(starting)
        self._complete = True
        self.endpoints().write(self.endpoints_file)

    def _start_renewing(self, starting: AsyncExitStack) -> None:
        self.certificates = Certificates(self.data, self.localities, self._lifetimes)
        self.certificates.keep()
        task = asyncio.create_task(keep_renewed(self.certificates), name="certificates")
        starting.push_async_callback(end, [task])

    async def _start_mongod(self, starting: AsyncExitStack) -> None:
        log = self.data / "logs" / "mongod.log"
        password, port = self._secrets["mongodb.root"], self._ports["mongod"]
        mongod = Mongod(self.data / "mongod", port, password=password, log=log, report=self._note)
        self._mongodb_uri = mongod.uri
        self.children["mongod"] = mongod.child
        starting.push_async_callback(mongod.child.stop)
        await mongod.start()
        await keep_reader(mongod.uri, self._secrets["mongodb.reader"])
        services = [one.name for one in self._declared]
        for slug in self.localities:
            await keep_services(mongod.uri, self.credentials(slug), slug, services)

    def _mongodb_uri_as(self, user: str = "", password: str = "") -> str:
        """Connection string for another user than root; that of a MongoDB of your own stays as it is."""
        return as_user(self._mongodb_uri, user, password) if "mongod" in self.children else self._mongodb_uri

    async def _start_bus(self, starting: AsyncExitStack) -> None:
        self.bus = Bus(self.localities, self.data, self._ports, self._secrets, doors=self._doors, report=self._note)
        self.children["hub"] = self.bus.hub.server.child
        self.children |= {f"{slug}.nats": node.child for slug, node in self.bus.nodes.items()}
        starting.push_async_callback(self.bus.stop)
        await self.bus.start()

    def _doors(self, locality: str) -> dict[str, Door]:
        """What each principal may do on the locality's bus, whether its service runs here or joins later."""
        doors = {one.name: door_of(one, locality) for one in self._declared if one.on_bus}
        return doors | {OPERATOR: operators_door()}

    async def _start_services(self, starting: AsyncExitStack) -> None:
        services = {slug: self._service_child(slug) for slug in self.localities}
        self.children |= {f"{slug}.services": child for slug, child in services.items()}
        starting.push_async_callback(_stop_all, list(services.values()))
        await _start_all(list(services.values()))

    def _service_child(self, locality: str) -> Child:
        settings = service_settings(
            locality,
            data=self.data,
            mongodb_uri=self._mongodb_uri_as(),
            nats_url=self.nats_url(locality),
            addresses={slug: self.grpc_address(slug) for slug in self.localities},
            keys=self._keys,
            credentials=self.certificates.credentials(locality),
        )
        log = self.data / "logs" / f"{locality}.services.log"
        return service_child(locality, self._services, settings, self.tls(locality), log=log, report=self._note)

    async def _start_edges(self, starting: AsyncExitStack) -> None:
        edges = Edges(self.data, self._note)
        starting.push_async_callback(edges.stop)
        self.children |= await edges.add(self._edge_place(slug) for slug in self.localities)
        await edges.start()

    def _edge_place(self, locality: str) -> EdgePlace:
        return EdgePlace(
            locality=locality,
            host=LOOPBACK,
            port=self._ports[f"{locality}.edge"],
            services=self.grpc_address(locality),
            keys=self._keys.jwks_file(locality),
            credentials=self.certificates.folder(locality, EDGE),
        )

    def _start_applying(self, starting: AsyncExitStack) -> None:
        hub = self._own_bus().hub
        active_pairs = self._active_pairs
        if active_pairs is None:
            addresses = {slug: self.grpc_address(slug) for slug in self.localities}
            tokens = {slug: self._reader_token(slug) for slug in self.localities}
            tls = {slug: self.tls(slug) for slug in self.localities}
            exchanges = Exchanges(addresses, tokens, tls, lambda: hub.applied)
            starting.push_async_callback(exchanges.close)
            active_pairs = exchanges.active_pairs
        task = asyncio.create_task(keep_applied(hub, active_pairs), name="hub permissions")
        starting.push_async_callback(end, [task])

    def _reader_token(self, locality: str) -> TokenSource:
        return TokenSource(
            self._keys.signing(locality),
            issuer=locality,
            subject="hub",
            scopes=["exchange.read"],
            audience=locality,
        )

    def _own_bus(self) -> Bus:
        if self.bus is None:
            raise ConfigurationError(f"the bus is not ours: {NATS_URL_VARIABLE} is set")
        return self.bus

    def _note(self, event: ChildEvent) -> None:
        self.events.append(event)
        if self._complete and event.happening is Happening.READY:  # its process id is a new one
            self.endpoints().write(self.endpoints_file)
        self._on_event(event)

    def _forget_endpoints(self) -> None:
        self._complete = False
        self.endpoints_file.unlink(missing_ok=True)


async def _start_all(children: Sequence[Child]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for child in children:
                group.create_task(child.start())
    except ExceptionGroup as failures:  # the first one ended the others
        raise failures.exceptions[0] from None


async def _stop_all(children: Sequence[Child]) -> None:
    await asyncio.gather(*(child.stop() for child in children))
