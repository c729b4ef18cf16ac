"""MongoDB for the embedded default: one mongod as a replica set of one member, because transactions need one."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from mesh.errors import ConfigurationError
from mesh.stack import binaries
from mesh.stack.ports import LOOPBACK
from mesh.stack.process import Child, ChildEvent
from mesh.stack.secrets import write_private

Client = AsyncMongoClient[dict[str, Any]]

REPLICA_SET = "lienthong"

ROOT = "root"

_UNAUTHORIZED, _AUTHENTICATION_FAILED, _ALREADY_INITIALIZED = 13, 18, 23  # error codes of MongoDB
_CACHE_GB = 0.5
_CONNECTIONS = 1500
_SESSIONS = 2 * _CONNECTIONS
"""Every operation needs one. By default the storage engine makes room for 33 000, which takes 38 MiB at once."""
_FILES = "file_manager=(close_idle_time=10,close_scan_interval=5,close_handle_minimum=100)"
"""Each open table takes some 40 KiB, and most of the hundreds a country has are idle. By default they stay open."""
_SESSION_IDLE_S = 5
"""An idle session of the storage engine holds on to every table it was used for, closed ones too, and to its cursors.
By default for five minutes: the sessions of the start alone held 15 MiB."""
_HISTORY_S = 10
"""Nobody reads the past: a transaction holds the snapshot it began with by itself. By default all that was changed in
the last five minutes stays readable, in memory: heartbeats alone make that 10 MiB."""
_OPLOG_MB = 512
"""Nobody follows the oplog of a lone member; by default it may take 5 % of the disk."""
_TRANSACTION_S = 3
"""A process that is killed leaves its transaction open, and mongod keeps it for so long, by default a minute: until
then the next process cannot commit, since every commit of a service writes the same counter."""


class Mongod:
    """One mongod, on the loopback interface only, with users and passwords."""

    def __init__(
        self,
        data: Path,
        port: int,
        *,
        password: str,
        log: Path,
        report: Callable[[ChildEvent], None] = lambda event: None,
    ) -> None:
        """`data` is its database folder; `port` may differ from the one it had before; `password` is root's."""
        self.port = port
        self._data = data
        self._password = password
        self.child = Child(
            "mongod",
            [
                *(binaries.mongod(), "--quiet", "--dbpath", data, "--bind_ip", LOOPBACK, "--port", str(port)),
                *("--replSet", REPLICA_SET, "--oplogSize", str(_OPLOG_MB), "--wiredTigerCacheSizeGB", str(_CACHE_GB)),
                *(
                    "--maxConns",
                    str(_CONNECTIONS),
                    "--wiredTigerEngineConfigString",
                    f"session_max={_SESSIONS},{_FILES}",
                ),
                *("--keyFile", self._key),  # which a replica set with users must have
                "--nounixsocket",  # a killed mongod leaves its socket in /tmp
                *("--setParameter", "diagnosticDataCollectionEnabled=false"),
                *("--setParameter", "tcmallocAggressiveMemoryDecommit=1"),  # what is freed goes back at once
                *("--setParameter", f"transactionLifetimeLimitSeconds={_TRANSACTION_S}"),
                *("--setParameter", f"wiredTigerSessionCloseIdleTimeSecs={_SESSION_IDLE_S}"),
                *("--setParameter", f"minSnapshotHistoryWindowInSeconds={_HISTORY_S}"),
            ],
            log=log,
            ready=self._is_primary,
            report=report,
        )

    @property
    def uri(self) -> str:
        """Connection string for root."""
        return f"mongodb://{ROOT}:{self._password}@{self._address}/?replicaSet={REPLICA_SET}"

    async def start(self) -> None:
        """Starts it and returns when it is primary. Raises ChildFailed."""
        self._data.mkdir(parents=True, exist_ok=True)
        if not self._key.exists():
            write_private(self._key, secrets.token_hex(64))
        await self.child.start()

    @property
    def _key(self) -> Path:
        """What the members of a replica set know each other by; this one has no other."""
        return self._data.with_name(f"{self._data.name}.key")

    @property
    def _address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    async def _is_primary(self) -> bool:
        try:
            async with self._client() as anybody:
                hello = await anybody.admin.command("hello")
                if hello.get("isWritablePrimary"):
                    await self._keep_root(anybody)
                    return True
                if hello.get("setName") is None:  # not initiated, or knows itself under another port
                    await self._introduce(anybody)
        except (PyMongoError, TimeoutError):
            pass
        return False

    async def _keep_root(self, anybody: Client) -> None:
        """Makes the root user of a new server, or of data that an earlier version left without users."""
        if not await self._has_root():
            try:
                await anybody.admin.command(
                    "createUser", ROOT, pwd=self._password, roles=["root"], mechanisms=["SCRAM-SHA-256"]
                )
            except OperationFailure as failure:
                if failure.code == _UNAUTHORIZED:
                    raise self._locked_out() from None
                raise

    async def _has_root(self) -> bool:
        async with self._client(username=ROOT, password=self._password) as root:
            try:
                await root.admin.command("ping")
            except OperationFailure as failure:
                if failure.code == _AUTHENTICATION_FAILED:
                    return False
                raise
        return True

    async def _introduce(self, anybody: Client) -> None:
        """Tells the server that it is the one member, under the port it has now.

        As root; while there is none as anybody, which MongoDB allows on its own machine (the localhost exception).
        """
        login = {"username": ROOT, "password": self._password} if await self._has_root() else {}
        members = [{"_id": 0, "host": self._address}]
        async with self._client(**login) as client:
            try:
                await client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
            except OperationFailure as failure:
                if failure.code == _UNAUTHORIZED:
                    raise self._locked_out() from None
                if failure.code != _ALREADY_INITIALIZED:
                    raise
                config = {"_id": REPLICA_SET, "version": 1, "members": members}
                await client.admin.command("replSetReconfig", config, force=True)

    def _client(self, **login: Any) -> Client:
        uri = f"mongodb://{self._address}/?directConnection=true"
        return Client(uri, serverSelectionTimeoutMS=200, socketTimeoutMS=5000, **login)

    def _locked_out(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self._data} has users, and the password kept for {ROOT} is not that of its {ROOT}: put back the"
            " secrets.json that belongs to this data, or begin anew with --fresh"
        )
