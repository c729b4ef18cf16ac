"""A process's connections to MongoDB: each service as a user of its own, who may use one database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, OperationFailure

from mesh.config import Settings
from mesh.container import database_name
from mesh.errors import ConfigurationError
from mesh.unit import Raw

_logger = logging.getLogger(__name__)

_SERVER_SELECTION_MS = 2000
_SOCKET_TIMEOUT_MS = 20_000
_IDLE_MS = 15_000
"""Starting opens ten connections per service, and in quiet times two do. Each is a thread of mongod's and 0.15 MiB."""
_AUTHENTICATION_FAILED = 18  # error code of MongoDB


def password_file(credentials: Path, service: str) -> Path:
    """File with the password of a service's user, whose name is that of its database."""
    return credentials / service / "mongodb"


def names_a_user(uri: str) -> bool:
    """Whether a connection string says as whom to connect."""
    parts = urlsplit(uri)
    return bool(parts.username) or "authmechanism" in {name.lower() for name in parse_qs(parts.query)}


class Databases:
    """Clients by service. Services share one where the process does without credentials, or the URI names a user."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        credentials = settings.credentials_folder()
        self._credentials = None if names_a_user(settings.mongodb_uri) else credentials
        self._users: dict[str, str] = {}
        """By service; empty where it connects as nobody or as whom the URI names."""
        self._clients: dict[str, MongoClient[Raw]] = {}
        """By user."""

    def client(self, service: str) -> MongoClient[Raw]:
        """The client that a service reads and writes its database with; it connects when it is first used."""
        if service not in self._users:
            login = self._login(service)
            self._users[service] = user = login.get("username", "")
            if user not in self._clients:
                self._clients[user] = self._connect(login)
        return self._clients[self._users[service]]

    async def ready(self, services: Iterable[str]) -> None:
        """Waits for MongoDB as long as it takes. Raises ConfigurationError naming a user it does not let in."""
        clients = {service: self.client(service) for service in services}
        users = {self._users[service]: client for service, client in clients.items()}
        await asyncio.gather(*(self._ready(user, client) for user, client in users.items()))

    def close(self) -> None:
        """Closes all connections."""
        for client in self._clients.values():
            client.close()

    def _login(self, service: str) -> dict[str, str]:
        if self._credentials is None:
            return {}
        file = password_file(self._credentials, service)
        if not file.is_file():  # the server decides whether that will do
            _logger.warning("%s: there is no password, so %s uses MongoDB without a user", file, service)
            return {}
        name = database_name(self._settings.locality, service)
        return {"username": name, "password": file.read_text().strip(), "authSource": name}

    def _connect(self, login: dict[str, Any]) -> MongoClient[Raw]:
        return MongoClient(
            self._settings.mongodb_uri,
            readConcernLevel="majority",
            w="majority",
            journal=True,
            tz_aware=True,
            serverSelectionTimeoutMS=_SERVER_SELECTION_MS,
            socketTimeoutMS=_SOCKET_TIMEOUT_MS,
            # Being told of changes by the server takes a second connection and thread per client, and there is a client
            # per service. Asking every ten seconds, and at once when a call fails, is enough.
            serverMonitoringMode="poll",
            maxIdleTimeMS=_IDLE_MS,
            connect=False,
            **login,
        )

    async def _ready(self, user: str, client: MongoClient[Raw]) -> None:
        while True:
            try:
                await asyncio.to_thread(client.admin.command, "ping")
                return
            except ConnectionFailure as error:  # after serverSelectionTimeoutMS
                _logger.warning("waiting for MongoDB: %s", type(error).__name__)
            except OperationFailure as error:
                if error.code != _AUTHENTICATION_FAILED:
                    raise
                whom = f"{user}: its password is another than that in {self._credentials}" if user else "the URI's user"
                raise ConfigurationError(f"MongoDB does not let in {whom}") from None
