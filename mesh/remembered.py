"""Remembered: documents as this process last read or wrote them, so that a handler need not ask again (ADR-0015).

Nothing here is trusted. What a handler recalls leaves a view as if it had been read, and the commit checks all views:
a document that somebody else has changed meanwhile is a conflict, after which the handler reads the database.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import bson
from bson.codec_options import CodecOptions

from mesh.unit import ABSENT, REVISION, Address, Raw

_AS_READ: CodecOptions[Raw] = CodecOptions(tz_aware=True)
"""As the host's client reads: what was written comes back as the database would give it."""


class Remembered:
    """The documents of one service that its handlers asked for last, within a bound. Any thread may use it.

    Kept as BSON: whoever recalls one gets it anew, so nothing a handler does to it changes what others recall.
    Documents found absent are not kept; they are asked for again only where an event arrives again.
    """

    def __init__(self, *, most_documents: int, most_bytes: int) -> None:
        self._most_documents, self._most_bytes = most_documents, most_bytes
        self._kept: OrderedDict[Address, tuple[int, bytes]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def recall(self, address: Address) -> Raw | None:
        """Returns a document with its revision, as MongoDB would; ``None`` where it must be read."""
        with self._lock:
            kept = self._kept.get(address)
            if kept is None:
                return None
            self._kept.move_to_end(address)
        return bson.decode(kept[1], _AS_READ)

    def read(self, address: Address, raw: Raw) -> None:
        """Keeps what a handler has read, unless what is kept is newer."""
        # Without a revision it was not written by a commit, and whether it has changed could not be told.
        if self._revision(address) < raw.get(REVISION, ABSENT):
            self._keep(address, raw)

    def committed(self, staged: Mapping[Address, Raw | None], number: int) -> None:
        """Brings what is kept up to what a commit has written; documents nobody asked for stay out."""
        for address, raw in staged.items():
            if ABSENT < self._revision(address) < number:
                if raw is None:
                    self.forget((address,))
                else:
                    self._keep(address, {**raw, REVISION: number})

    def forget(self, addresses: Iterable[Address]) -> None:
        """Drops what has turned out to be old."""
        with self._lock:
            for address in addresses:
                self._drop(address)

    def _revision(self, address: Address) -> int:
        kept = self._kept.get(address)
        return ABSENT if kept is None else kept[0]

    def _keep(self, address: Address, raw: Raw) -> None:
        data = bson.encode(raw)
        with self._lock:
            if self._revision(address) >= raw[REVISION]:
                return
            self._drop(address)
            self._kept[address] = raw[REVISION], data
            self._bytes += len(data)
            while len(self._kept) > self._most_documents or self._bytes > self._most_bytes:
                self._drop(next(iter(self._kept)))

    def _drop(self, address: Any) -> None:
        if (kept := self._kept.pop(address, None)) is not None:
            self._bytes -= len(kept[1])
