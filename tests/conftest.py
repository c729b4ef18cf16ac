"""Real servers for tests: one mongod and one nats-server per session, each in a fresh folder on a free port.

`mongod` (session) and `database_prefix` (test): write to databases whose name starts with the prefix; they are dropped
after the test. `nats_server` (session) and `empty_nats` (test): the same server, emptied of streams after the test.
`new_mongod`, `new_nats_server` (test): a server of the test's own, for tests that stop and kill it.
`two_nodes` (test): a hub and the servers of da-nang and hue, see `Nodes`.

The servers run under an event loop of their own in a thread, so tests of any kind, sync or async, can use them.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import nats
import pytest
from pymongo import MongoClient

from mesh.stack.bus import Bus
from mesh.stack.mongod import Mongod
from mesh.stack.nats import Login, NatsServer, node_config, open_account, write_config
from mesh.stack.ports import Ports, free_port
from mesh.stack.secrets import Secrets

T = TypeVar("T")


class Background:
    """An event loop in a thread, for what outlives one test."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="servers", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs the coroutine on the loop and returns what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=120)

    def close(self) -> None:
        """Ends the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class RunningMongod:
    """A mongod that sync and async tests can stop, kill and start."""

    def __init__(self, server: Mongod, background: Background) -> None:
        self.uri = server.uri
        self._server = server
        self._background = background

    def start(self) -> None:
        """Starts it and returns when it is primary."""
        self._background.run(self._server.start())

    def stop(self) -> None:
        """Stops it in order; it stays down until `start`."""
        self._background.run(self._server.child.stop())

    def kill(self, *, restart: bool = False) -> None:
        """Kills it as a crash would; with `restart` its supervisor brings it back."""
        self._background.run(self._server.child.kill(restart=restart))

    def wait_ready(self) -> None:
        """Returns when it is primary again."""
        self._background.run(self._server.child.wait_ready())


class RunningNats:
    """A nats-server that sync and async tests can stop, kill and start."""

    def __init__(self, server: NatsServer, background: Background, store: Path) -> None:
        self.url = server.url_with_login
        """With user and password: `nats.connect(nats_server.url)`."""
        self.plain_url = server.url
        self.user, self.password = server.login.user, server.login.password
        self.store = store
        """Its JetStream folder; may be removed while it is down."""
        self._server = server
        self._background = background

    def start(self) -> None:
        """Starts it and returns when its JetStream answers."""
        self._background.run(self._server.child.start())

    def stop(self) -> None:
        """Stops it in order; it stays down until `start`."""
        self._background.run(self._server.child.stop())

    def kill(self, *, restart: bool = False) -> None:
        """Kills it as a crash would; with `restart` its supervisor brings it back."""
        self._background.run(self._server.child.kill(restart=restart))

    def wait_ready(self) -> None:
        """Returns when it answers again."""
        self._background.run(self._server.child.wait_ready())

    def delete_streams(self) -> None:
        """Deletes every stream."""
        self._background.run(_delete_streams(self.url))


class Nodes:
    """A hub and the nats-servers of some localities, without services: what the broker alone allows and carries."""

    def __init__(self, bus: Bus, background: Background) -> None:
        self.bus = bus
        self._background = background

    def url(self, locality: str) -> str:
        """Where the locality's own services connect, with user and password."""
        return self.bus.nodes[locality].url_with_login

    def start(self) -> None:
        """Starts all servers; the hub lets through what was applied last."""
        self._background.run(self.bus.start())

    def stop(self) -> None:
        """Stops all servers; they stay down until `start`."""
        self._background.run(self.bus.stop())

    def apply(self, *pairs: tuple[str, str]) -> None:
        """Lets exactly these (provider, recipient) pairs through the hub."""
        self._background.run(self.bus.hub.apply(pairs))
        self.wait_linked()

    def cut(self, locality: str) -> None:
        """Cuts the locality from the hub until `rejoin`."""
        self._background.run(self.bus.hub.bar(locality))

    def rejoin(self, locality: str) -> None:
        """Lets the locality join again and returns when it has."""
        self._background.run(self.bus.hub.admit(locality))
        self.wait_linked()

    def wait_linked(self) -> None:
        """Returns when every locality's leaf link is up."""
        self._background.run(self.bus.hub.wait_linked(self.bus.nodes.keys()))


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    """The event loop servers run under."""
    background = Background()
    yield background
    background.close()


@pytest.fixture(scope="session")
def mongod(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMongod]:
    """A replica set of one member; do not stop it. `mongod.uri`."""
    yield from _run_mongod(background, tmp_path_factory.mktemp("mongod"))


@pytest.fixture
def new_mongod(background: Background, tmp_path: Path) -> Iterator[RunningMongod]:
    """A mongod of this test's own, to be stopped and killed."""
    yield from _run_mongod(background, tmp_path / "mongod")


@pytest.fixture
def database_uri(mongod: RunningMongod) -> str:
    """Connection string of the session's mongod."""
    return mongod.uri


@pytest.fixture
def database_prefix(mongod: RunningMongod) -> Iterator[str]:
    """A prefix no other test has; databases that start with it are dropped after the test."""
    prefix = f"t{uuid.uuid4().hex[:8]}_"
    yield prefix
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        for name in client.list_database_names():
            if name.startswith(prefix):
                client.drop_database(name)


@pytest.fixture(scope="session")
def nats_server(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNats]:
    """A nats-server with JetStream; do not stop it. `nats.connect(nats_server.url)`."""
    yield from _run_nats(background, tmp_path_factory.mktemp("nats"))


@pytest.fixture
def empty_nats(nats_server: RunningNats) -> Iterator[RunningNats]:
    """The session's nats-server without streams; what the test leaves is deleted."""
    nats_server.delete_streams()
    yield nats_server
    nats_server.delete_streams()


@pytest.fixture
def new_nats_server(background: Background, tmp_path: Path) -> Iterator[RunningNats]:
    """A nats-server of this test's own, to be stopped and killed."""
    yield from _run_nats(background, tmp_path / "nats")


@pytest.fixture
def two_nodes(background: Background, tmp_path: Path) -> Iterator[Nodes]:
    """A hub, da-nang and hue, joined; nothing is let through before `two_nodes.apply(("da-nang", "hue"))`."""
    yield from _run_nodes(background, tmp_path / "two-nodes", ["da-nang", "hue"])


@pytest.fixture
def three_nodes(background: Background, tmp_path: Path) -> Iterator[Nodes]:
    """As `two_nodes`, and ha-noi."""
    yield from _run_nodes(background, tmp_path / "three-nodes", ["da-nang", "hue", "ha-noi"])


def _run_nodes(background: Background, folder: Path, localities: list[str]) -> Iterator[Nodes]:
    folder.mkdir()
    nodes = Nodes(Bus(localities, folder, Ports(folder / "ports.json"), Secrets(folder / "secrets.json")), background)
    for server in _while_running(nodes.start, nodes.stop, nodes):
        server.wait_linked()
        yield server


def _run_mongod(background: Background, folder: Path) -> Iterator[RunningMongod]:
    running = RunningMongod(Mongod(folder / "data", free_port(), password="secret", log=folder / "log"), background)
    yield from _while_running(running.start, running.stop, running)


def _run_nats(background: Background, folder: Path) -> Iterator[RunningNats]:
    port, login, store = free_port(), Login("test", uuid.uuid4().hex), folder / "jetstream"
    write_config(folder / "nats.conf", node_config("test", port, store, open_account(login)))
    server = NatsServer("nats", folder / "nats.conf", port, login, log=folder / "log")
    running = RunningNats(server, background, store)
    yield from _while_running(running.start, running.stop, running)


def _while_running(start: Callable[[], None], stop: Callable[[], None], server: T) -> Iterator[T]:
    start()
    try:
        yield server
    finally:
        stop()


async def _delete_streams(url: str) -> None:
    client = await nats.connect(url)
    jetstream = client.jetstream()
    for stream in await jetstream.streams_info():
        await jetstream.delete_stream(stream.config.name)
    await client.close()
