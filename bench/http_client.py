"""Load in JSON: one GET again and again, over HTTP/1.1 connections that are kept."""

from __future__ import annotations

import asyncio
import re
import ssl
from pathlib import Path

_CONTENT_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class HttpClient:
    """GETs of one URL, as bytes: like the client of gRPC it is to cost as little as it can, so it is no library's."""

    def __init__(self, port: int, ca: Path, path: str, headers: tuple[tuple[str, str], ...]) -> None:
        """It calls localhost and believes the authorities of the file `ca`."""
        lines = [f"GET {path} HTTP/1.1", "host: localhost", *(f"{name}: {value}" for name, value in headers)]
        self._request = "\r\n".join([*lines, "", ""]).encode()
        self._port = port
        self._tls = ssl.create_default_context(cafile=ca)
        self._idle: list[_Connection] = []

    async def __aenter__(self) -> HttpClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        for _, writer in self._idle:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in self._idle), return_exceptions=True)

    async def call(self, _: bytes) -> bytes:
        """Asks once and returns the body."""
        connection = self._idle.pop() if self._idle else await self._connect()
        reader, writer = connection
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = _CONTENT_LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 200 ") or length is None:
            raise SystemExit(f"not the answer of a call:\n{head.decode()}")
        body = await reader.readexactly(int(length[1]))
        self._idle.append(connection)
        return body

    async def _connect(self) -> _Connection:
        return await asyncio.open_connection("localhost", self._port, ssl=self._tls)
