"""Servers of a measurement, started fresh in a folder of its own and stopped after it."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import psutil
from pymongo import MongoClient

from mesh.stack.bus import Bus
from mesh.stack.mongod import Mongod
from mesh.stack.nats import Login, NatsServer, node_config, open_account, write_config
from mesh.stack.ports import LOOPBACK, Ports, free_port
from mesh.stack.process import Child
from mesh.stack.secrets import Secrets

_SYSTEM = {"admin", "config", "local"}
_RABBITMQ_PROGRAMS = Path("/usr/lib/rabbitmq/bin")


@dataclass
class Servers:
    """A mongod and a nats-server."""

    mongodb: str
    nats: str
    pids: list[int]

    async def wipe(self) -> None:
        """Drops all databases and streams."""
        await asyncio.to_thread(wipe_databases, self.mongodb)
        await wipe_streams(self.nats)

    def cpu_s(self) -> float:
        """Processor seconds both have used."""
        return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in self.pids)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Servers]:
    """A mongod and a nats-server with JetStream."""
    port, login = free_port(), Login("bench", secrets.token_hex(8))
    write_config(folder / "nats.conf", node_config("bench", port, folder / "jetstream", open_account(login)))
    server = NatsServer("nats", folder / "nats.conf", port, login, log=folder / "nats.log")
    async with running_mongod(folder) as mongod:
        await server.child.start()
        try:
            pids = [pid for child in (mongod.child, server.child) if (pid := child.pid)]
            yield Servers(mongod.uri, server.url_with_login, pids)
        finally:
            await server.child.stop()


@asynccontextmanager
async def running_mongod(folder: Path) -> AsyncIterator[Mongod]:
    """A mongod."""
    mongod = Mongod(folder / "mongod", free_port(), password=secrets.token_hex(8), log=folder / "mongod.log")
    await mongod.start()
    try:
        yield mongod
    finally:
        await mongod.child.stop()


@asynccontextmanager
async def running_bus(folder: Path, localities: Sequence[str]) -> AsyncIterator[Bus]:
    """A hub and the nats-servers of some localities, joined to it."""
    bus = Bus(localities, folder, Ports(folder / "ports.json"), Secrets(folder / "secrets.json"))
    await bus.start()
    try:
        await bus.hub.wait_linked(localities)
        yield bus
    finally:
        await bus.stop()


def rabbitmq_missing() -> str:
    """Why there is no RabbitMQ here; empty when there is."""
    if (_RABBITMQ_PROGRAMS / "rabbitmq-server").exists():
        return ""
    return "RabbitMQ is not installed (Debian: apt-get install rabbitmq-server)"


@asynccontextmanager
async def running_rabbitmq(folder: Path) -> AsyncIterator[str]:
    """A RabbitMQ broker; its AMQP URL. It runs as a child of ours with everything it writes in `folder`."""
    port, distribution, mapper = free_port(), free_port(), free_port()
    home = folder / "rabbitmq"
    home.mkdir()
    (home / "rabbitmq.conf").write_text(f"listeners.tcp.default = {port}\nlog.console = true\n")
    (home / "plugins").write_text("[].\n")
    environment = os.environ | {
        "HOME": str(home),
        "RABBITMQ_NODENAME": f"bench{port}@localhost",
        "RABBITMQ_BASE": str(home),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_PID_FILE": str(home / "pid"),
        "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": LOOPBACK,
    }
    child = Child(
        "rabbitmq",
        [_RABBITMQ_PROGRAMS / "rabbitmq-server"],
        log=folder / "rabbitmq.log",
        ready=lambda: _listens(port),
        env=environment,
    )
    await child.start()
    try:
        yield f"amqp://guest:guest@{LOOPBACK}:{port}"
    finally:
        await child.stop()
        _end_mapper(mapper)
        shutil.rmtree(home, ignore_errors=True)


def _end_mapper(port: int) -> None:
    """Ends the port mapper that Erlang leaves behind: the one on the port that is ours."""
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "epmd" and process.environ().get("ERL_EPMD_PORT") == str(port):
            process.terminate()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


def wipe_databases(uri: str) -> None:
    """Drops all databases but MongoDB's own."""
    with MongoClient[dict[str, Any]](uri) as client:
        for name in set(client.list_database_names()) - _SYSTEM:
            client.drop_database(name)


async def wipe_streams(url: str) -> None:
    """Deletes all streams."""
    client = await nats.connect(url)
    jetstream = client.jetstream()
    for stream in await jetstream.streams_info():
        await jetstream.delete_stream(stream.config.name)
    await client.close()
