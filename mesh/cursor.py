"""A cursor: reads one filtered stream in order, from a given sequence, as fast as the reader takes it.

The broker keeps an ephemeral consumer without acknowledgements: where a subscription stands is in its mark,
nowhere else (ADR-0004). Whatever breaks the flow — reconnect, deleted stream, missed heartbeat — ends the cursor,
and its reader opens a new one behind the mark.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Self

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from mesh.bus import Account

BATCH = 256
_EXPIRES_S = 30.0
_HEARTBEAT_S = 3.0
_INACTIVE_S = 60.0
_NANOSECONDS = 1_000_000_000


class CursorLost(Exception):
    """The flow of messages broke: open a new cursor behind the mark."""


class Cursor:
    """Messages of one stream and subject filter, from a stream sequence on."""

    def __init__(self, account: Account, *, stream: str, subject: str, start: int) -> None:
        self._account = account
        self._stream = stream
        self._subject = subject
        self._start = start
        self._name = ""
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._messages: asyncio.Queue[Msg | CursorLost] = asyncio.Queue()
        self._wanted = 0
        """Messages the broker may still send for the request under way."""
        self._heard = 0.0

    async def __aenter__(self) -> Self:
        # Nobody may list consumers, so who does not know the name cannot take what this one is given (ADR-0019).
        self._name = f"cursor-{secrets.token_hex(12)}"
        self._inbox = self._account.nats.new_inbox()
        await self._account.jetstream.add_consumer(
            self._stream,
            ConsumerConfig(
                name=self._name,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=max(1, self._start),
                ack_policy=AckPolicy.NONE,
                filter_subject=self._subject,
                inactive_threshold=_INACTIVE_S,
                mem_storage=True,
                num_replicas=1,
            ),
        )
        self._subscription = await self._account.nats.subscribe(self._inbox, cb=self._receive)
        await self._request()
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(NatsError):
            if self._subscription is not None:
                await self._subscription.unsubscribe()
            await self._account.jetstream.delete_consumer(self._stream, self._name)

    async def next(self, timeout_s: float) -> list[Msg]:
        """Returns what has arrived, at least one message; an empty list when nothing comes within ``timeout_s``.

        Raises `CursorLost`.
        """
        try:
            async with asyncio.timeout(timeout_s):
                first = await self._messages.get()
        except TimeoutError:
            if asyncio.get_running_loop().time() - self._heard > 2.5 * _HEARTBEAT_S:
                raise CursorLost("no heartbeat") from None
            return []
        taken = [self._kept(first)]
        while not self._messages.empty() and len(taken) < BATCH:
            item = self._messages.get_nowait()
            if isinstance(item, CursorLost):
                self._messages.put_nowait(item)  # what came before it is good
                break
            taken.append(item)
        if self._wanted <= 0 and self._messages.qsize() < BATCH // 4:
            await self._request()
        return taken

    @staticmethod
    def _kept(item: Msg | CursorLost) -> Msg:
        if isinstance(item, CursorLost):
            raise item
        return item

    async def _request(self) -> None:
        self._wanted = BATCH
        self._heard = asyncio.get_running_loop().time()
        wish = {
            "batch": BATCH,
            "expires": int(_EXPIRES_S * _NANOSECONDS),
            "idle_heartbeat": int(_HEARTBEAT_S * _NANOSECONDS),
        }
        await self._account.pull(self._stream, self._name, wish, self._inbox)

    async def _receive(self, msg: Msg) -> None:
        self._heard = asyncio.get_running_loop().time()
        status = (msg.headers or {}).get("Status") if not msg.data else None
        if status is None:
            self._wanted -= 1
            self._messages.put_nowait(msg)
        elif status == "408" or (status == "409" and "Batch Completed" in (msg.headers or {}).get("Description", "")):
            await self._request()
        elif status != "100":
            self._messages.put_nowait(CursorLost(f"{status} {(msg.headers or {}).get('Description', '')}"))

    def lose(self, reason: str) -> None:
        """Ends the cursor from outside, as after a reconnect: pull requests die with the connection."""
        self._messages.put_nowait(CursorLost(reason))
