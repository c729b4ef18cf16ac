"""NATS for the embedded default: a nats-server with JetStream per locality, joined to the hub as a leaf node."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError

from mesh.stack import binaries
from mesh.stack.nkey import Nkey
from mesh.stack.ports import LOOPBACK
from mesh.stack.process import Child, ChildEvent
from mesh.stack.secrets import write_private

HUB_ACCOUNT = "LIENTHONG"
"""The account all leaf links share at the hub; at a node it is that of who may do everything, in trials."""

_MAX_PAYLOAD_BYTES = 8_000_000
_MAX_FILE_STORE_BYTES = 10**15
"""JetStream counts the limit of every stream against this, used or not; each stream bounds itself."""
_MAX_MEMORY_STORE_BYTES = 64_000_000
_SYNC_INTERVAL = "10s"
"""How much a power cut may take from the streams. JetStream's default is two minutes and `always` would fsync every
message; but the log is the truth and the relay refills what a stream lost, so this only bounds the refilling."""


@dataclass(frozen=True)
class Login:
    """User and password at a nats-server whose users have no doors of their own: for trials of the bus alone."""

    user: str
    password: str

    def as_config(self) -> dict[str, Any]:
        """Returns how a server's configuration names the user."""
        return {"user": self.user, "password": self.password}

    def as_options(self) -> dict[str, Any]:
        """Returns what `nats.connect` must be given to log in."""
        return self.as_config()


Identity = Login | Nkey
"""As whom somebody logs in."""


@dataclass(frozen=True)
class Leaf:
    """Where a locality's server joins the hub, and as whom."""

    port: int
    """The hub's port for leaf nodes."""
    nkey: Nkey
    """One user per locality: the hub's permissions hang on it."""
    account: str
    """Whose streams cross the border."""


def open_account(login: Login) -> dict[str, Any]:
    """Returns the one account of a server at which one user may do everything, for trials."""
    return {HUB_ACCOUNT: {"jetstream": "enabled", "users": [login.as_config()]}}


def node_folder(data: Path, locality: str) -> Path:
    """Returns where a locality's server has its configuration and streams."""
    return data / "nodes" / locality


def node_config(
    server_name: str,
    port: int,
    store: Path,
    accounts: Mapping[str, Any],
    *,
    domain: str | None = None,
    leaf: Leaf | None = None,
) -> dict[str, Any]:
    """Returns the configuration of a nats-server with JetStream; `domain` is the slug of its locality."""
    jetstream: dict[str, Any] = {
        "store_dir": str(store),
        "sync_interval": _SYNC_INTERVAL,
        "max_file_store": _MAX_FILE_STORE_BYTES,
        "max_memory_store": _MAX_MEMORY_STORE_BYTES,
    }
    if domain is not None:
        jetstream["domain"] = domain
    config = base_config(server_name, port) | {
        "jetstream": jetstream,
        "accounts": {**accounts, "SYS": {"users": []}},
        # Reply subjects that name the stream, so the hub can permit them one by one (see `hub.permissions`).
        "feature_flags": {"js_api_reply_v2": True},
    }
    if leaf is not None:
        remote = {"url": f"nats://{LOOPBACK}:{leaf.port}", "account": leaf.account, "nkey": leaf.nkey.seed}
        config["leafnodes"] = {"reconnect": "250ms", "remotes": [remote]}
    return config


def base_config(server_name: str, port: int) -> dict[str, Any]:
    """Returns what every nats-server of the embedded default has in common."""
    return {
        "server_name": server_name,
        "listen": f"{LOOPBACK}:{port}",
        "max_payload": _MAX_PAYLOAD_BYTES,
        "system_account": "SYS",
    }


def write_config(file: Path, config: Mapping[str, Any]) -> None:
    """Writes a server's configuration, readable by its owner only: it holds passwords.

    NATS reads JSON as its own format; a quoted `$` is no variable there.
    """
    write_private(file, json.dumps(config, indent=2) + "\n")


class NatsServer:
    """One nats-server child."""

    def __init__(
        self,
        name: str,
        config: Path,
        port: int,
        login: Identity,
        *,
        log: Path,
        ready: Callable[[], Awaitable[bool]] | None = None,
        report: Callable[[ChildEvent], None] = lambda event: None,
    ) -> None:
        """`config` is its written configuration, `port` and `login` are how to ask whether it is ready."""
        self.port = port
        self.login = login
        self.child = Child(
            name, [binaries.nats_server(), "-c", config], log=log, ready=ready or self._answers, report=report
        )

    @property
    def url(self) -> str:
        """Where clients connect, without credentials."""
        return f"nats://{LOOPBACK}:{self.port}"

    @property
    def url_with_login(self) -> str:
        """Where clients connect, with user and password if it has them."""
        if isinstance(self.login, Login):
            return f"nats://{self.login.user}:{self.login.password}@{LOOPBACK}:{self.port}"
        return self.url

    async def _answers(self) -> bool:
        return await answers(self.url, self.login)


async def answers(url: str, login: Identity, *, jetstream: bool = True) -> bool:
    """Tells whether the server lets the user in and, if asked for, its JetStream is up."""
    try:
        client = await connect_once(url, login)
    except (NatsError, OSError):
        return False
    try:
        if jetstream:
            await client.jetstream(timeout=1).account_info()
        return True
    except (NatsError, OSError):
        return False
    finally:
        await client.close()


async def connect_once(url: str, login: Identity) -> Client:
    """Connects now or fails now; nats-py would try again for two minutes."""
    return await nats.connect(
        url,
        **login.as_options(),
        allow_reconnect=False,
        max_reconnect_attempts=1,
        reconnect_time_wait=0.02,
        connect_timeout=1,
        error_cb=_ignore,
    )


async def _ignore(failure: Exception) -> None:
    """Keeps nats-py from printing a traceback for every attempt before the server listens."""
