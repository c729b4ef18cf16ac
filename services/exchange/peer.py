"""A peer: the exchange of another locality, asked over gRPC."""

from __future__ import annotations

from typing import Any, Final

from mesh.client import Client
from mesh.errors import Unavailable

CONTRACT: Final = "lienthong.exchange.v1.ExchangeService"
_DEADLINE_S: Final = 5.0


class Peer:
    """Calls one other exchange, with tokens of one scope; connects when it is first asked."""

    def __init__(self, host: Any, locality: str, scope: str) -> None:
        self.locality = locality
        self._host = host
        self._scope = scope
        self._client: Client | None = None

    async def call(self, method: str, request: Any, **options: Any) -> Any:
        """As `Client.call`. Raises Unavailable also when no address is known."""
        if self._client is None:
            self._client = self._connected()
        return await self._client.call(method, request, **options)

    async def close(self) -> None:
        """Closes the connection."""
        if self._client is not None:
            await self._client.close()

    def _connected(self) -> Client:
        address = self._host.settings.peers.get(self.locality)
        if address is None:
            raise Unavailable(f"no address of the exchange of {self.locality} is known; set LIENTHONG_PEERS")
        token = self._host.own_token(self._scope, audience=self.locality)
        tls = self._host.tls_to(self.locality)
        return Client(CONTRACT, address, token=token, deadline_s=_DEADLINE_S, tls=tls)
