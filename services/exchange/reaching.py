"""What a lookup is asked of: sectors of this locality, exchanges of others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final, Protocol

from google.protobuf.message import Message
from nameko.extensions import DependencyProvider

from lienthong.exchange.v1 import AnswerLookupRequest, AnswerLookupResponse
from mesh.call import Call
from mesh.errors import DeadlineExceeded, Unavailable
from mesh.lookup import Lookup
from services.exchange.peer import Peer

SCOPE: Final = "exchange.lookup"
_SHARE: Final = 0.9
"""Part of the time that is left which asking may take: the rest is for the refusal of one that does not answer."""


class Reach(Protocol):
    """What handlers of lookups may ask. Blocking; each asks once, and whoever waits for the handler tries again."""

    def sector(self, lookup: Lookup, request: Message) -> Any:
        """Asks a sector of this locality. Raises the MeshError it refuses with."""

    def peer(self, locality: str, request: AnswerLookupRequest) -> AnswerLookupResponse:
        """Asks the exchange of another locality. Raises Unavailable where it does not answer."""


class Reaching(DependencyProvider):
    """Injects a `Reach`; keeps the connections to other exchanges."""

    def __init__(self) -> None:
        self.peers: dict[str, Peer] = {}

    async def stop(self) -> None:
        """Closes the connections."""
        await asyncio.gather(*(peer.close() for peer in self.peers.values()))

    def get_dependency(self, worker_ctx: Any) -> Reach:
        return _FromThread(self.peers, worker_ctx.container.host, worker_ctx.data["call"])


class _FromThread:
    """`Reach` of one handler run."""

    def __init__(self, peers: dict[str, Peer], host: Any, call: Call) -> None:
        self._peers = peers
        self._host = host
        self._call = call

    def sector(self, lookup: Lookup, request: Message) -> Any:
        return self._wait(self._ask_sector(lookup, request))

    def peer(self, locality: str, request: AnswerLookupRequest) -> AnswerLookupResponse:
        try:
            answer: AnswerLookupResponse = self._wait(self._ask_peer(locality, request))
        except DeadlineExceeded:
            raise Unavailable(f"the exchange of {locality} did not answer in time") from None
        return answer

    async def _ask_sector(self, lookup: Lookup, request: Message) -> Any:
        sector = self._host.neighbours.caller(lookup.service, lookup.contract, lookup.scope)
        return await sector.call(lookup.method, request, deadline_s=self._left_s(), repeatable=False)

    async def _ask_peer(self, locality: str, request: AnswerLookupRequest) -> Any:
        peer = self._peers.get(locality)
        if peer is None:
            peer = self._peers[locality] = Peer(self._host, locality, SCOPE)
        return await peer.call("AnswerLookup", request, deadline_s=self._left_s(), repeatable=False)

    def _wait(self, asking: Coroutine[Any, Any, Any]) -> Any:
        with self._host.pool.waiting():
            return asyncio.run_coroutine_threadsafe(asking, self._host.loop).result()

    def _left_s(self) -> float:
        allowed: float = self._host.settings.call_deadline_s
        if self._call.deadline is None:
            return allowed
        return min(allowed, max(0.0, self._call.deadline - time.monotonic()) * _SHARE)
