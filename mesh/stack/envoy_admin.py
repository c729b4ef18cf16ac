"""Envoy's administration over its Unix socket: whether it is ready, what is under way, and draining."""

from __future__ import annotations

import asyncio
import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

_TIMEOUT_S: Final = 2.0
_POLL_S: Final = 0.05
_UNDER_WAY: Final = "http.edge.downstream_rq_active"


class EnvoyAdmin:
    """The administration of one Envoy, which listens on a socket that only its user can open."""

    def __init__(self, place: Path) -> None:
        self._place = place

    async def ready(self) -> bool:
        """Tells whether it serves: its certificate is loaded and its listeners are open."""
        try:
            status, _ = await self._ask("GET", "/ready")
        except (OSError, HTTPException):
            return False
        return status == 200

    async def drain(self, longest_s: float) -> None:
        """Closes the listeners, asks clients to leave, and returns when no call is under way or the time is over."""
        try:
            # In this order: a connection that is still accepted learns with its first answer that it must go.
            await self._ask("POST", "/healthcheck/fail")
            await self._ask("POST", "/drain_listeners")
            async with asyncio.timeout(longest_s):
                while await self.calls_under_way():  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(_POLL_S)
        except (OSError, HTTPException):  # it has ended, or its time is over
            return

    async def calls_under_way(self) -> int:
        """Returns how many calls have begun and not ended; raises OSError when it does not answer."""
        _, text = await self._ask("GET", f"/stats?filter=^{_UNDER_WAY}$")
        return int(text.rpartition(":")[2])

    async def _ask(self, method: str, path: str) -> tuple[int, str]:
        return await asyncio.to_thread(self._ask_now, method, path)

    def _ask_now(self, method: str, path: str) -> tuple[int, str]:
        connection = _UnixConnection(self._place)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


class _UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, place: Path) -> None:
        super().__init__("edge", timeout=_TIMEOUT_S)
        self._place = place

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._place))
