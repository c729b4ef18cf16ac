"""Streams batches of readings to one locality, through whatever breaks on the way.

Batches are answered in order, each once it is durable. When the stream breaks, those not answered are sent again under
the same `request_id`, so that none counts twice and none is lost.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mesh.cli.rows_file import Kind, Row
from mesh.client import Client
from mesh.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    MeshError,
    NotFound,
    PermissionDenied,
    StartUpError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Violation,
)

WINDOW: Final = 8
"""Batches on their way at most."""
PATIENCE_S: Final = 600.0
"""How long nothing may be answered before the feed gives up."""

_PERMANENT: Final = (
    *(AlreadyExists, FailedPrecondition, InvalidArgument, PermissionDenied),
    *(StartUpError, Unauthenticated, Unimplemented),
)
_LONGEST_PAUSE_S: Final = 2.0


@dataclass(slots=True)
class Tally:
    """What became of the rows of one locality."""

    rows: int = 0
    accepted: int = 0
    duplicate: int = 0
    flagged: int = 0
    rejected_by_rule: Counter[str] = field(default_factory=Counter)

    @property
    def rejected(self) -> int:
        return self.rejected_by_rule.total()

    @property
    def done(self) -> int:
        """Rows whose fate is known."""
        return self.accepted + self.duplicate + self.rejected

    def as_json(self) -> dict[str, object]:
        """As the report shows it."""
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "duplicate": self.duplicate,
            "flagged": self.flagged,
            "rejected": self.rejected,
            "rejected_by_rule": dict(sorted(self.rejected_by_rule.items())),
        }


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are committed together."""

    request: Any
    rows: Sequence[Row]
    """In the order of the request."""


Rejected = Callable[[str, Row, str, str], None]
"""Told of each row that was not kept: locality, row, field, rule."""


class Feed:
    """One locality's stream. `async with` it; leaving waits until everything is answered."""

    def __init__(self, locality: str, kind: Kind, client: Client, tally: Tally, on_rejected: Rejected) -> None:
        self.locality = locality
        self.kind = kind
        self.tally = tally
        self.breaks = 0
        """How often the stream broke."""
        self._client = client
        self._on_rejected = on_rejected
        self._unanswered: deque[Batch] = deque()
        self._room = asyncio.Semaphore(WINDOW)
        self._news = asyncio.Event()
        self._closing = False
        self._answered_at = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    async def register(self, request: Any) -> Violation | None:
        """Registers what rows are about; returns what is wrong with it when the locality refuses it."""
        try:
            await self._client.call(self.kind.register, request, deadline_s=PATIENCE_S)
        except InvalidArgument as error:
            return error.violations[0] if error.violations else Violation("", "invalid", str(error))
        except AlreadyExists as error:  # its id is that of something else; the rest of the file is not to blame
            return Violation("id", error.reason, str(error))
        return None

    async def send(self, batch: Batch) -> None:
        """Sends a batch, waiting while too many are on their way. Raises what ended the stream for good."""
        room = asyncio.ensure_future(self._room.acquire())
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"feed-{self.locality}")
        await asyncio.wait({room, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            room.cancel()
            self._task.result()
            raise Unavailable(f"{self.locality} no longer takes rows")
        if not self._unanswered:
            self._answered_at = time.monotonic()
        self._unanswered.append(batch)
        self._news.set()

    async def finish(self) -> None:
        """Returns when everything is answered. Raises what ended the stream for good."""
        self._closing = True
        self._news.set()
        if self._task is not None:
            await self._task

    async def cancel(self) -> None:
        """Gives up; what is not answered may or may not be durable."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        tries = 0
        while not (self._closing and not self._unanswered):
            before = self.tally.done
            try:
                await self._stream()
            except NotFound as error:
                self._refuse(error)
            except _PERMANENT:
                raise
            except MeshError as error:
                self.breaks += 1
                tries = 0 if self.tally.done > before else tries + 1
                if self._unanswered and time.monotonic() - self._answered_at > PATIENCE_S:
                    raise Unavailable(
                        f"{self.locality} has answered nothing for {PATIENCE_S / 60:.0f} minutes ({error})"
                    ) from error
                await asyncio.sleep(random.uniform(0.5, 1) * min(_LONGEST_PAUSE_S, 0.1 * 2.0 ** min(tries, 10)))

    async def _stream(self) -> None:
        """One stream: what is not answered again, then what comes."""
        async for response in self._client.stream(self.kind.stream, self._requests()):
            batch = self._unanswered[0]
            if response.request_id != batch.request.request_id:
                raise Unavailable(f"{self.locality} answered out of order")
            self._answered(batch, response.outcome)
        if not self._closing or self._unanswered:
            raise Unavailable(f"{self.locality} ended the stream")

    async def _requests(self) -> AsyncIterator[Any]:
        sent: Batch | None = None
        while True:
            self._news.clear()
            for batch in self._after(sent):
                sent = batch
                yield batch.request
            if not self._after(sent):
                if self._closing:
                    return
                await self._news.wait()

    def _after(self, sent: Batch | None) -> list[Batch]:
        """Unanswered batches this stream has not sent yet."""
        unanswered = list(self._unanswered)
        ids = [batch.request.request_id for batch in unanswered]
        if sent is None:
            return unanswered
        if sent.request.request_id in ids:
            return unanswered[ids.index(sent.request.request_id) + 1 :]
        return unanswered

    def _answered(self, batch: Batch, outcome: Any) -> None:
        self.tally.accepted += outcome.accepted
        self.tally.duplicate += outcome.duplicate
        self.tally.flagged += getattr(outcome, "flagged", 0)
        for rejected in outcome.rejected:
            self.reject(batch.rows[rejected.index], rejected.field, rejected.rule)
        self._take_out()

    def _refuse(self, error: NotFound) -> None:
        """A batch of which nothing is registered: all its rows are rejected."""
        for row in self._unanswered[0].rows if self._unanswered else ():
            self.reject(row, f"{error.resource_type}_id", error.reason)
        self._take_out()

    def reject(self, row: Row, field: str, rule: str) -> None:
        """Counts a row that is not kept."""
        self.tally.rejected_by_rule[rule] += 1
        self._on_rejected(self.locality, row, field, rule)

    def _take_out(self) -> None:
        if self._unanswered:
            self._unanswered.popleft()
            self._answered_at = time.monotonic()
            self._room.release()
