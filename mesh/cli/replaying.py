"""Replays a file: registers what its rows are about, streams them to their localities, keeps count."""

from __future__ import annotations

import asyncio
import csv
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from mesh.cli.feed import Batch, Feed, Tally
from mesh.cli.rows_file import Kind, Row, RowsFile, Unreadable
from mesh.cli.running import RunningMesh
from mesh.errors import Violation

BATCH_ROWS: Final = 300
_LEAST_WAIT_S: Final = 0.05
_PARALLEL_REGISTRATIONS: Final = 16


class RejectedRows:
    """A CSV file of rows that were not kept, with the reason; there is none while all are."""

    def __init__(self, path: Path, kind: Kind) -> None:
        self.path = path
        self._columns = kind.columns
        self.count = 0
        path.unlink(missing_ok=True)

    def add(self, locality: str, row: Row, field: str, rule: str) -> None:
        """Writes one row."""
        fresh = self.count == 0
        self.count += 1
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8", newline="") as lines:
            writer = csv.writer(lines)
            if fresh:
                writer.writerow(["line", "locality", "field", "rule", *self._columns])
            writer.writerow(
                [row.number, locality, field, rule, *(row.cells.get(column, "") for column in self._columns)]
            )


class Replay:
    """One file on its way into a mesh."""

    def __init__(
        self,
        mesh: RunningMesh,
        kind: Kind,
        localities: Iterable[str],
        *,
        speed: float | None,
        tallies: dict[str, Tally],
        rejected: RejectedRows,
    ) -> None:
        """`speed` is how many times faster than it was observed, None as fast as it goes; `tallies` are added to."""
        self._kind = kind
        self._speed = speed
        self._run = uuid.uuid4().hex[:12]
        """In every request id: a second replay of a file is asked anew, and answered with duplicates."""
        self._tallies = tallies
        self._feeds = {
            slug: Feed(slug, kind, mesh.client(slug, kind.service), tallies.setdefault(slug, Tally()), rejected.add)
            for slug in localities
        }
        self._registered: dict[tuple[str, str], asyncio.Task[Violation | None]] = {}
        self._registering = asyncio.Semaphore(_PARALLEL_REGISTRATIONS)
        self._pending: dict[str, list[tuple[Row, Any]]] = {slug: [] for slug in self._feeds}
        self._batches = 0
        self._pace: tuple[float, float] | None = None
        self.skipped = 0
        """Rows of localities that do not take part."""

    @property
    def breaks(self) -> int:
        """How often a stream broke and went on."""
        return sum(feed.breaks for feed in self._feeds.values())

    @property
    def done(self) -> int:
        """Rows whose fate is known."""
        return sum(tally.done for tally in self._tallies.values()) + self.skipped

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if failure is not None:
            for registration in self._registered.values():
                registration.cancel()
            await asyncio.gather(*self._registered.values(), return_exceptions=True)
            await asyncio.gather(*(feed.cancel() for feed in self._feeds.values()))

    async def run(self, file: RowsFile, on_progress: Callable[[], None] = lambda: None) -> None:
        """Replays the file; returns when every row is answered. Raises a MeshError that stays."""
        for row in file.rows():
            feed = self._feeds.get(row.locality)
            if feed is None:
                self.skipped += 1
            else:
                feed.tally.rows += 1
                await self._take(feed, row)
            on_progress()
        await self._flush()
        await asyncio.gather(*(feed.finish() for feed in self._feeds.values()))
        on_progress()

    async def _take(self, feed: Feed, row: Row) -> None:
        try:
            message, observed_at = row.message(), row.observed_at
            self._register(feed, row)
        except Unreadable as reason:
            feed.reject(row, str(reason), "format")
            return
        await self._wait_until_due(observed_at.timestamp())
        pending = self._pending[feed.locality]
        pending.append((row, message))
        if len(pending) >= BATCH_ROWS:
            await self._send(feed)

    def _register(self, feed: Feed, row: Row) -> None:
        """Begins to register a thing that was not met before; its first batch waits for it."""
        key = (feed.locality, row.thing)
        if row.thing and key not in self._registered:
            request = row.registration()
            request.request_id = f"replay-{self._run}-thing-{len(self._registered)}"

            async def register() -> Violation | None:
                async with self._registering:
                    return await feed.register(request)

            self._registered[key] = asyncio.create_task(register())

    async def _wait_until_due(self, observed: float) -> None:
        """At a given speed, waits until the row's time has come, sending what came before."""
        if self._speed is None:
            return
        if self._pace is None:
            self._pace = (observed, time.monotonic())
        first, began = self._pace
        wait_s = began + (observed - first) / self._speed - time.monotonic()
        if wait_s > _LEAST_WAIT_S:
            await self._flush()
            await asyncio.sleep(wait_s)

    async def _flush(self) -> None:
        await asyncio.gather(*(self._send(feed) for feed in self._feeds.values()))

    async def _send(self, feed: Feed) -> None:
        pending, self._pending[feed.locality] = self._pending[feed.locality], []
        kept = []
        for row, message in pending:
            refused = await self._registered[feed.locality, row.thing] if row.thing else None
            if refused is None:
                kept.append((row, message))
            else:
                feed.reject(row, refused.field, refused.rule)
        if kept:
            self._batches += 1
            request = self._kind.request(f"replay-{self._run}-{self._batches}", [message for _, message in kept])
            await feed.send(Batch(request, [row for row, _ in kept]))
