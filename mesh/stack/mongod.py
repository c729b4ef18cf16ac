"""MongoDB for the embedded default: one mongod as a replica set of one member, because transactions need one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from mesh.stack import binaries
from mesh.stack.ports import LOOPBACK
from mesh.stack.process import Child, ChildEvent

REPLICA_SET = "lienthong"

_NOT_YET_INITIALIZED = 94  # error codes of MongoDB
_CACHE_GB = 0.5
_CONNECTIONS = 1500
_SESSIONS = 2 * _CONNECTIONS
"""Every operation needs one. By default the storage engine makes room for 33 000, which takes 38 MiB at once."""
_FILES = "file_manager=(close_idle_time=10,close_scan_interval=5,close_handle_minimum=100)"
"""Each open table takes some 40 KiB, and most of the hundreds a country has are idle. By default they stay open."""
_OPLOG_MB = 512
"""Nobody follows the oplog of a lone member; by default it may take 5 % of the disk."""
_TRANSACTION_S = 3
"""A process that is killed leaves its transaction open, and mongod keeps it for so long, by default a minute: until
then the next process cannot commit, since every commit of a service writes the same counter."""


class Mongod:
    """One mongod, on the loopback interface only."""

    def __init__(
        self, data: Path, port: int, *, log: Path, report: Callable[[ChildEvent], None] = lambda event: None
    ) -> None:
        """`data` is its database folder; `port` may differ from the one it had before."""
        self.port = port
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
                "--nounixsocket",  # a killed mongod leaves its socket in /tmp
                *("--setParameter", "diagnosticDataCollectionEnabled=false"),
                *("--setParameter", "tcmallocAggressiveMemoryDecommit=1"),  # what is freed goes back at once
                *("--setParameter", f"transactionLifetimeLimitSeconds={_TRANSACTION_S}"),
            ],
            log=log,
            ready=self._is_primary,
            report=report,
        )
        self._data = data

    @property
    def uri(self) -> str:
        """Connection string for clients."""
        return f"mongodb://{self._address}/?replicaSet={REPLICA_SET}"

    async def start(self) -> None:
        """Starts it and returns when it is primary. Raises ChildFailed."""
        self._data.mkdir(parents=True, exist_ok=True)
        await self.child.start()

    @property
    def _address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    async def _is_primary(self) -> bool:
        uri = f"mongodb://{self._address}/?directConnection=true"
        async with AsyncMongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=200, socketTimeoutMS=5000) as client:
            try:
                hello = await client.admin.command("hello")
                if hello.get("isWritablePrimary"):
                    return True
                if hello.get("setName") is None:  # not initiated, or knows itself under another port
                    await self._introduce(client)
            except (PyMongoError, TimeoutError):
                pass
            return False

    async def _introduce(self, client: AsyncMongoClient[dict[str, Any]]) -> None:
        config = await self._config(client)
        if config is None:
            members = [{"_id": 0, "host": self._address}]
            await client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        elif config["members"][0]["host"] != self._address:
            config["members"][0]["host"] = self._address
            config["version"] += 1
            await client.admin.command("replSetReconfig", config, force=True)

    async def _config(self, client: AsyncMongoClient[dict[str, Any]]) -> dict[str, Any] | None:
        """Returns the replica set's configuration on disk: `replSetGetConfig` does not tell it to a removed member."""
        try:
            return await client.local.get_collection("system.replset").find_one()
        except OperationFailure as failure:
            if failure.code == _NOT_YET_INITIALIZED:
                return None
            raise
