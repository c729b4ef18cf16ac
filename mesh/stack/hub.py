"""The NATS hub: where localities' servers meet, and where the broker itself enforces agreements."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NatsError

from mesh.errors import Unavailable
from mesh.sharing import api_prefix, deliver_prefix, share_stream
from mesh.stack.nats import ACCOUNT, Login, NatsServer, answers, base_config, connect_once, write_config
from mesh.stack.ports import LOOPBACK
from mesh.stack.process import ChildEvent

Pair = tuple[str, str]
"""Provider and recipient, as slugs: `("da-nang", "hue")`."""

_REQUEST_TIMEOUT_S = 2.0


@dataclass
class Permissions:
    """What one locality's leaf link may do at the hub; nothing unless a pair allows it."""

    publish: list[str] = field(default_factory=list)
    subscribe: list[str] = field(default_factory=list)

    def as_config(self) -> dict[str, Any]:
        """Returns the permissions in the server's words, where an empty list would allow everything."""
        return {"publish": _only(self.publish), "subscribe": _only(self.subscribe)}


def permissions(pairs: Iterable[Pair]) -> dict[str, Permissions]:
    """Returns what each locality may do so that exactly the given pairs' share streams can be sourced.

    The recipient asks for a consumer on one stream, the provider answers and delivers, the recipient lets it go on.
    Every subject names that stream, so no locality hears what two others say to each other.
    """
    granted: dict[str, Permissions] = {}
    for provider, recipient in sorted(pairs):
        stream, api = share_stream(provider, recipient), api_prefix(provider)
        asks = [
            f"{api}.CONSUMER.CREATE.{stream}.>",
            f"{api}.CONSUMER.DELETE.{stream}.>",
            # Flow control and acks, each without and with domain and account. Without the first, sourcing works until
            # the first window is full, then stalls silently.
            *(f"$JS.FC.{stream}.>", f"$JS.FC.{provider}.*.{stream}.>"),
            *(f"$JS.ACK.{stream}.>", f"$JS.ACK.{provider}.*.{stream}.>"),
        ]
        answers = [
            f"{deliver_prefix(provider, recipient)}.>",
            f"$JSC.R.{provider}.*.{stream}.>",  # named like this only with the feature flag of `node_config`
        ]
        giver = granted.setdefault(provider, Permissions())
        taker = granted.setdefault(recipient, Permissions())
        giver.publish += answers
        giver.subscribe += asks
        taker.publish += asks
        taker.subscribe += answers
    return granted


def hub_config(
    port: int, leaf_port: int, admin: Login, localities: Mapping[str, Login], pairs: Iterable[Pair]
) -> dict[str, Any]:
    """Returns the hub's configuration: one account, a user per locality, leaf links only."""
    granted = permissions(pairs)
    users = [
        login.as_config()
        | {
            "permissions": granted.get(slug, Permissions()).as_config(),
            "allowed_connection_types": ["LEAFNODE"],
        }
        for slug, login in sorted(localities.items())
    ]
    return base_config("hub", port) | {
        "leafnodes": {"listen": f"{LOOPBACK}:{leaf_port}"},
        "accounts": {ACCOUNT: {"users": users}, "SYS": {"users": [admin.as_config()]}},
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
        admin: Login,
        localities: Mapping[str, Login],
        *,
        log: Path,
        report: Callable[[ChildEvent], None] = lambda event: None,
    ) -> None:
        """`localities` are the logins of the leaf links by slug; `admin` may ask the server to reload."""
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
            await administration.cut(self._unsettled)
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
            return set((await administration.links()).values())

    @asynccontextmanager
    async def _administration(self) -> AsyncIterator[_Administration]:
        try:
            client = await connect_once(self.server.url, self._admin)
        except (NatsError, OSError) as failure:
            raise Unavailable("the hub does not answer") from failure
        try:
            yield await _Administration.of(client)
        except (NatsError, OSError) as failure:
            raise Unavailable("the hub does not answer") from failure
        finally:
            await client.close()

    async def _answers(self) -> bool:
        return await answers(self.server.url, self._admin, jetstream=False)

    def _write_config(self, pairs: frozenset[Pair]) -> None:
        admitted = {slug: login for slug, login in self._localities.items() if slug not in self._barred}
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


class _Administration:
    """The hub's system account: https://docs.nats.io/running-a-nats-service/configuration/sys_accounts."""

    def __init__(self, client: Client, server_id: str) -> None:
        self._client = client
        self._server_id = server_id

    @classmethod
    async def of(cls, client: Client) -> _Administration:
        """Learns the id of the server the client is connected to; only requests that name it change anything."""
        answer = await client.request("$SYS.REQ.SERVER.PING.IDZ", b"", timeout=_REQUEST_TIMEOUT_S)
        return cls(client, json.loads(answer.data)["id"])

    async def reload(self) -> None:
        """Makes the server read its configuration, and returns when it has."""
        await self._ask("RELOAD")

    async def cut(self, localities: set[str]) -> None:
        """Closes every leaf link logged in as one of the localities."""
        for link, locality in (await self.links()).items():
            if locality in localities:
                await self._ask("KICK", cid=link)

    async def links(self) -> dict[int, str]:
        """Returns the leaf links by id with the user they logged in as: a link can give itself any name."""
        answer = await self._ask("CONNZ", auth=True, limit=10_000)
        return {
            connection["cid"]: connection["authorized_user"]
            for connection in answer["data"]["connections"]
            if connection["kind"] == "Leafnode"
        }

    async def _ask(self, what: str, **arguments: Any) -> dict[str, Any]:
        subject = f"$SYS.REQ.SERVER.{self._server_id}.{what}"
        message = await self._client.request(subject, json.dumps(arguments).encode(), timeout=_REQUEST_TIMEOUT_S)
        answer: dict[str, Any] = json.loads(message.data)
        if "error" in answer:
            raise Unavailable(f"the hub refused {what}: {answer['error'].get('description', '')}")
        return answer


def _only(subjects: list[str]) -> dict[str, Any]:
    return {"allow": subjects} if subjects else {"deny": [">"]}
