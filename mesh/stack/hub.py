"""The NATS hub: where localities' servers meet, and where the broker itself enforces agreements."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from mesh.stack.nats import HUB_ACCOUNT, NatsServer, answers, base_config, write_config
from mesh.stack.nkey import Nkey
from mesh.stack.permissions import Pair, Permissions, permissions
from mesh.stack.ports import LOOPBACK
from mesh.stack.process import ChildEvent
from mesh.stack.system_account import SystemAccount, system_account


def hub_config(
    port: int, leaf_port: int, admin: Nkey, localities: Mapping[str, Nkey], pairs: Iterable[Pair]
) -> dict[str, Any]:
    """Returns the hub's configuration: one account, a user per locality, leaf links only."""
    granted = permissions(pairs)
    users = [
        nkey.as_config()
        | {
            "permissions": granted.get(slug, Permissions()).as_config(),
            "allowed_connection_types": ["LEAFNODE"],
        }
        for slug, nkey in sorted(localities.items())
    ]
    return base_config("hub", port) | {
        "leafnodes": {"listen": f"{LOOPBACK}:{leaf_port}"},
        "accounts": {HUB_ACCOUNT: {"users": users}, "SYS": {"users": [admin.as_config()]}},
    }


class Hub:
    """The hub's server and the pairs it lets through.

    They are written with its configuration, so a restart begins with them.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        leaf_port: int,
        admin: Nkey,
        localities: Mapping[str, Nkey],
        *,
        log: Path,
        report: Callable[[ChildEvent], None] = lambda event: None,
    ) -> None:
        """`localities` are the keys of the leaf links by slug; `admin` may ask the server to reload."""
        self.leaf_port = leaf_port
        self._folder = folder
        self._port = port
        self._admin = admin
        self._localities = dict(localities)
        self._applied = frozenset(pair for pair in self._read() if set(pair) <= self._localities.keys())
        self._barred: set[str] = set()
        self._unsettled: set[str] = set()
        self._applying = asyncio.Lock()
        self.server = NatsServer("hub", folder / "nats.conf", port, admin, log=log, ready=self._answers, report=report)

    @property
    def applied_file(self) -> Path:
        """Says which pairs are in force: `{"pairs": [[PROVIDER, RECIPIENT], …]}`."""
        return self._folder / "applied.json"

    @property
    def applied(self) -> frozenset[Pair]:
        """The pairs the hub lets through."""
        return self._applied

    async def start(self) -> None:
        """Starts the server with the pairs applied last. Raises ChildFailed."""
        self._write_config(self._applied)
        self._write_applied(self._applied)
        await self.server.child.start()

    async def apply(self, pairs: Iterable[Pair]) -> bool:
        """Lets exactly these pairs through from now on; returns whether that changed anything.

        Raises Unavailable when the hub is down or does not answer; then call again.
        """
        async with self._applying:
            wanted = frozenset(pairs)
            changed = {slug for pair in wanted ^ self._applied for slug in pair} | self._unsettled
            if not changed:
                return False
            self._write_applied(wanted & self._applied)  # a crash from here on must not bring back what was revoked
            await self._settle(wanted, changed)
            self._applied = wanted
            self._write_applied(wanted)
            return True

    async def bar(self, locality: str) -> None:
        """Cuts the locality's link and keeps it down until `admit`."""
        async with self._applying:
            self._barred.add(locality)
            await self._settle(self._applied, {locality})

    async def admit(self, locality: str) -> None:
        """Lets a barred locality's server join again, which it does by itself."""
        async with self._applying:
            self._barred.discard(locality)
            await self._settle(self._applied, set())

    async def _settle(self, pairs: frozenset[Pair], changed: set[str]) -> None:
        """Puts the pairs in force.

        A reload changes what new links may do and leaves those that exist as they were, so the links of the localities
        it changes something for are cut; they are back within a second, with their new permissions.
        """
        self._unsettled |= changed
        self._write_config(pairs)
        async with self._administration() as administration:
            await administration.reload()
            await administration.cut({self._localities[slug].public for slug in self._unsettled})
        self._unsettled.clear()

    async def wait_linked(self, localities: Collection[str]) -> None:
        """Returns when the leaf links of all these localities are up."""
        while True:
            if set(localities) <= await self.linked():
                return
            await asyncio.sleep(0.05)

    async def linked(self) -> set[str]:
        """Returns the localities whose leaf link is up."""
        async with self._administration() as administration:
            linked = set((await administration.links()).values())
        return {slug for slug, nkey in self._localities.items() if nkey.public in linked}

    def _administration(self) -> AbstractAsyncContextManager[SystemAccount]:
        return system_account(self.server.url, self._admin)

    async def _answers(self) -> bool:
        return await answers(self.server.url, self._admin, jetstream=False)

    def _write_config(self, pairs: frozenset[Pair]) -> None:
        admitted = {slug: nkey for slug, nkey in self._localities.items() if slug not in self._barred}
        config = hub_config(self._port, self.leaf_port, self._admin, admitted, pairs)
        write_config(self._folder / "nats.conf", config)

    def _write_applied(self, pairs: frozenset[Pair]) -> None:
        """Says what is in force, for those who wait for it (`lienthong agreements apply`) and for the next start."""
        fresh = self._folder / "applied.new"
        fresh.write_text(json.dumps({"pairs": sorted(pairs)}) + "\n")
        fresh.replace(self.applied_file)

    def _read(self) -> set[Pair]:
        if not self.applied_file.exists():
            return set()
        return {(provider, recipient) for provider, recipient in json.loads(self.applied_file.read_text())["pairs"]}
