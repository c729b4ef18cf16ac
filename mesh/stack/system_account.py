"""The system account of a nats-server: to reload it, and to see and cut its leaf links.

https://docs.nats.io/running-a-nats-service/configuration/sys_accounts
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NatsError

from mesh.errors import Unavailable
from mesh.stack.nats import Identity, connect_once

_REQUEST_TIMEOUT_S = 2.0


@asynccontextmanager
async def system_account(url: str, login: Identity) -> AsyncIterator[SystemAccount]:
    """Connects for a few requests. Raises Unavailable when the server is down or does not answer."""
    try:
        client = await connect_once(url, login)
    except (NatsError, OSError) as failure:
        raise Unavailable("the hub does not answer") from failure
    try:
        yield await SystemAccount.of(client)
    except (NatsError, OSError) as failure:
        raise Unavailable("the hub does not answer") from failure
    finally:
        await client.close()


class SystemAccount:
    """Requests to one server."""

    def __init__(self, client: Client, server_id: str) -> None:
        self._client = client
        self._server_id = server_id

    @classmethod
    async def of(cls, client: Client) -> SystemAccount:
        """Learns the id of the server the client is connected to; only requests that name it change anything."""
        answer = await client.request("$SYS.REQ.SERVER.PING.IDZ", b"", timeout=_REQUEST_TIMEOUT_S)
        return cls(client, json.loads(answer.data)["id"])

    async def reload(self) -> None:
        """Makes the server read its configuration, and returns when it has."""
        await self._ask("RELOAD")

    async def cut(self, users: set[str]) -> None:
        """Closes every leaf link logged in as one of the users."""
        for link, user in (await self.links()).items():
            if user in users:
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
