"""The relay: copies a log to its stream.

Stream sequence = position: every publish expects the position before it as the stream's last sequence. So
nothing is skipped, a second relay's duplicate is refused, and a stream that lost its tail gets the same events
under the same numbers again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError
from pymongo.errors import PyMongoError

from mesh import log as logs
from mesh.counter import heads
from mesh.log import Log
from mesh.telemetry import publishing
from mesh.unit import EVENTS_LOG, Raw

if TYPE_CHECKING:
    from mesh.container import MeshContainer

_logger = logging.getLogger(__name__)

WINDOW = 512
"""Publishes in flight."""
_ACK_TIMEOUT_S = 5.0
_POLL_S = 0.5
"""How often the log is looked at for entries that other processes committed."""
_POLL_ALONE_S = 5.0
"""The same where no other process is known: what is committed here wakes the relay."""
_EXPIRY_EVERY_S = 30.0
_LONGEST_BACKOFF_S = 2.0


class StreamMoved(Exception):
    """The stream's last sequence is not what the relay thought: ask the stream and go on from there."""


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """How far a log has been copied to its stream."""

    committed: int
    """Highest position committed."""
    published: int
    """Highest position known to be in the stream."""
    oldest_unpublished_s: float
    """Age of the oldest entry that is not; 0 when there is none."""


class Relay:
    """Copies one log of one service."""

    def __init__(self, container: MeshContainer, log: Log) -> None:
        self._container = container
        self._host = container.host
        self.log = log
        self.published = 0
        """Highest position known to be in the stream."""
        self.receipted: int | None = None if log.name == EVENTS_LOG else 0
        """On share logs: highest position the recipient has committed. Entries beyond it are kept."""
        self._offered: deque[Raw] = deque(maxlen=4 * WINDOW)
        self._wake = asyncio.Event()
        self._advanced = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._inbox = ""
        self._unacked: set[int] = set()
        self._refused: Exception | None = None
        self._expired_at = 0.0
        self._in_doubt = False
        """Whether the stream may have lost what it had."""

    async def start(self) -> None:
        """Declares the stream, raises counters a restored database has behind it, then follows the log."""
        await self._reconcile()
        self._task = asyncio.create_task(self._run(), name=f"relay-{self.log.stream}")

    async def stop(self) -> None:
        """Publishes what is committed, as long as the broker answers within the drain time; then ends."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._task, self._host.settings.runtime.drain_timeout_s / 4)

    def reconnected(self) -> None:
        """What was in flight died with the connection, and the broker may have lost what it had: ask the stream."""
        if self._unacked:
            self._refused = StreamMoved("reconnected")
            self._advanced.set()
        self._in_doubt = True
        self._wake.set()

    def offer(self, entries: list[Raw]) -> None:
        """Hands over entries just committed here, so they need not be read back."""
        self._offered.extend(entries)
        self._wake.set()

    async def caught_up(self, position: int) -> None:
        """Waits until a position is in the stream."""
        while self.published < position:
            self._advanced.clear()
            await self._advanced.wait()

    def status(self) -> RelayStatus:
        """Blocking: how far the log has been copied."""
        committed, _ = heads(self._container.database, self.log)
        published = min(self.published, committed)
        oldest = []
        if published < committed:
            oldest = logs.read(self._container.database, self.log, after_position=published, limit=1)
        age_s = (datetime.now(UTC) - oldest[0]["at"]).total_seconds() if oldest else 0.0
        return RelayStatus(committed, published, age_s)

    async def _run(self) -> None:
        backoff = 0.05
        while True:
            try:
                await self._follow()
                return
            except StreamMoved as moved:
                _logger.info("relay %s goes on from the stream's end: %s", self.log.stream, moved)
                backoff = 0.05
            except (TimeoutError, NatsError, PyMongoError, OSError) as error:
                _logger.warning("relay %s waits: %s", self.log.stream, type(error).__name__)
            if self._stopping:
                return
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF_S)

    async def _follow(self) -> None:
        self._in_doubt = True
        while True:
            self._wake.clear()
            holds = self._container.members.holds(f"relay/{self.log.name}")
            look = self._in_doubt
            if self._in_doubt or not (holds or self._stopping):
                self._in_doubt = False
                self.published = await self._stream_end()
            if holds:
                while entries := await self._next_entries(look):
                    await self._publish(entries)
                await self._expire()
            if self._stopping:
                return
            alone = self._container.members.alone
            try:
                async with asyncio.timeout(_POLL_ALONE_S if alone else _POLL_S):  # `wait_for` would take a task more
                    await self._wake.wait()
            except TimeoutError:
                self._in_doubt = True  # with nothing to publish, nothing else would show that the stream is gone

    async def _next_entries(self, look: bool) -> list[Raw]:
        """What was offered, as far as it follows on what is published; else what the log has.

        Without an offer the log is only looked at when told to: what is committed here is always offered.
        """
        while self._offered and self._offered[0]["_id"] <= self.published:
            self._offered.popleft()
        if self._offered and self._offered[0]["_id"] == self.published + 1:
            taken: list[Raw] = []
            while self._offered and len(taken) < WINDOW and self._offered[0]["_id"] == self.published + 1 + len(taken):
                taken.append(self._offered.popleft())
            return taken
        if not (look or self._offered):
            return []
        entries: list[Raw] = await self._container.in_thread(self._read)
        return entries

    def _read(self) -> list[Raw]:
        return logs.read(self._container.database, self.log, after_position=self.published, limit=WINDOW)

    async def _publish(self, entries: list[Raw]) -> None:
        """Publishes entries in flight together; returns when all are acknowledged."""
        if entries[0]["_id"] != self.published + 1:
            await self._restart_stream_at(entries[0]["_id"])
        if not self._inbox:
            self._inbox = self._container.nats.new_inbox()
            await self._container.nats.subscribe(f"{self._inbox}.*", cb=self._acknowledged)
        self._refused = None
        self._unacked = {entry["_id"] for entry in entries}
        self._advanced.clear()
        for entry in entries:
            with publishing(self.log.stream, entry["subject"], entry["headers"]) as headers:
                headers["Nats-Expected-Last-Sequence"] = str(entry["_id"] - 1)
                reply = f"{self._inbox}.{entry['_id']}"
                await self._container.nats.publish(entry["subject"], entry["data"], reply=reply, headers=headers)
        async with asyncio.timeout(_ACK_TIMEOUT_S):
            while self._unacked:
                if self._refused is not None:
                    raise self._refused
                await self._advanced.wait()
                self._advanced.clear()
        self.published = entries[-1]["_id"]
        self._advanced.set()

    async def _acknowledged(self, msg: Msg) -> None:
        position = int(msg.subject.rpartition(".")[2])
        if msg.headers and msg.headers.get("Status"):
            self._refused = StreamMoved(f"status {msg.headers['Status']}")
        else:
            answer = json.loads(msg.data)
            if "error" in answer:
                self._refused = self._refused or StreamMoved(str(answer["error"].get("description")))
            else:
                self._unacked.discard(position)
        if self._refused is not None or not self._unacked:
            self._advanced.set()

    # --- the stream ---------------------------------------------------------------------------------------

    async def _stream_end(self) -> int:
        """Declares the stream if it is gone; returns its last sequence."""
        try:
            info = await self._container.jetstream.stream_info(self.log.stream)
        except NotFoundError:
            owed = await self._container.in_thread(self._lowest_owed)
            await self._declare(first=owed)
            return int(owed) - 1
        return int(info.state.last_seq)

    def _lowest_owed(self) -> int:
        """First sequence of a new stream: what the stream would still hold had it not been lost."""
        age = timedelta(days=self._host.settings.runtime.stream_max_age_days)
        lowest = logs.floor(self._container.database, self.log, since=datetime.now(UTC) - age)
        if lowest is not None:
            return lowest
        return heads(self._container.database, self.log)[0] + 1

    async def _declare(self, first: int | None) -> None:
        runtime = self._host.settings.runtime
        config = StreamConfig(
            name=self.log.stream,
            subjects=list(self.log.subjects),
            storage=StorageType.FILE,
            max_age=runtime.stream_max_age_days * 86400.0,
            max_bytes=runtime.stream_max_bytes,
            discard=DiscardPolicy.OLD,
            allow_direct=True,
            num_replicas=1,
        )
        if first is None:
            await self._container.jetstream.update_stream(config)
            return
        body = {**config.as_dict(), "first_seq": first}
        response = await self._container.nats.request(
            f"$JS.API.STREAM.CREATE.{self.log.stream}", json.dumps(body).encode(), timeout=_ACK_TIMEOUT_S
        )
        answer: dict[str, Any] = json.loads(response.data)
        if "error" in answer:
            raise NatsError(f"stream {self.log.stream}: {answer['error'].get('description')}")
        _logger.info("stream %s declared from sequence %d", self.log.stream, first)

    async def _restart_stream_at(self, position: int) -> None:
        """The log no longer holds what the stream lacks: the stream begins anew at what the log has."""
        await self._container.jetstream.delete_stream(self.log.stream)
        await self._declare(first=position)
        self.published = position - 1

    async def _reconcile(self) -> None:
        """Before serving: a stream that is ahead of its log shows that the database was restored from an older copy."""
        end = await self._stream_end()
        await self._declare(first=None)
        position, sequences = await self._container.in_thread(heads, self._container.database, self.log)
        if end > position:
            known = await self._sequences_after(position, end)
            higher = {line: n for line, n in known.items() if n > sequences.get(line, 0)}
            await self._container.in_thread(self._container.committer.raise_heads, self.log, end, higher)

    async def _sequences_after(self, position: int, end: int) -> dict[str, int]:
        """Reads the highest sequence of each line among the stream's messages the log does not know."""
        known: dict[str, int] = {}
        at = position
        while at < end:
            try:
                message = await self._container.jetstream.get_msg(
                    self.log.stream, seq=at + 1, subject=">", next=True, direct=True
                )
            except NotFoundError:
                break
            at = int(message.seq or end)
            line = line_of(str(message.subject))
            sequence = int((message.headers or {}).get("ce-sequence", "0"))
            known[line] = max(known.get(line, 0), sequence)
        return known

    async def _expire(self) -> None:
        """From time to time gives published entries their end; on a share log only those with a receipt."""
        now = self._host.loop.time()
        if now - self._expired_at < _EXPIRY_EVERY_S:
            return
        self._expired_at = now
        until = self.published if self.receipted is None else min(self.published, self.receipted)
        keep = timedelta(days=self._host.settings.runtime.log_keep_days)
        await self._container.in_thread(
            lambda: logs.let_expire(self._container.database, self.log, until_position=until, keep=keep)
        )


def line_of(subject: str) -> str:
    """Line a subject carries: `events.<origin>.…` and `shared.<from>.<to>.<agreement>.…` alike."""
    tokens = subject.split(".")
    return "/".join(tokens[1:] if tokens[0] == "events" else tokens[3:])
