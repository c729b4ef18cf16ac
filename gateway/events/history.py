"""History: one log of the locality, read from any position: from its stream, else from the log itself.

Reads from the stream are batched direct gets (ADR-31 of the NATS architecture): they leave no consumer behind, so a
thousand subscribers that come back at once cost the broker nothing lasting.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from gateway.events.log_behind import LogPages
from mesh.errors import OutOfRange, Unavailable
from mesh.source import Delivery, sequence_of

PAGE = 256
_PAGE_BYTES = 2 << 20
_TIMEOUT_S = 5.0


class History:
    """The events of one service of this locality."""

    def __init__(self, service: str, stream: str, nats: Client, jetstream: JetStreamContext, log: LogPages) -> None:
        self.service = service
        self.stream = stream
        self.nats = nats
        self.jetstream = jetstream
        self._log = log

    async def end(self) -> int:
        """Highest position committed. Raises `Unavailable`."""
        return await self._log.end()

    async def floor(self) -> int:
        """The position before the lowest the log still has. Raises `Unavailable`."""
        found = await self._log.page(0, 1)
        return found[0].position - 1 if found else await self._log.end()

    async def span(self) -> tuple[int, int]:
        """What the stream holds: the position before its first, and its last. Without a stream, the log's end twice.

        Raises `Unavailable` while neither can be found out.
        """
        try:
            state = (await self.jetstream.stream_info(self.stream)).state
        except NotFoundError:
            end = await self.end()
            return end, end
        except (NatsError, TimeoutError) as error:
            raise Unavailable(f"stream {self.stream} does not answer") from error
        return int(state.first_seq) - 1, int(state.last_seq)

    async def page(self, after: int, limit: int = PAGE) -> list[Delivery]:
        """The next events without a hole; at least one, where the log has gone on.

        Raises `OutOfRange` when what follows is no longer kept, and `Unavailable`.
        """
        found = _contiguous(await self._in_stream(after, limit), after)
        return found or await self.page_of_log(after, limit)

    async def page_of_log(self, after: int, limit: int = PAGE) -> list[Delivery]:
        """The same from the log alone."""
        found = await self._log.page(after, limit)
        contiguous = _contiguous(found, after)
        if contiguous:
            return contiguous
        floor = found[0].position if found else await self.end() + 1
        if floor <= after + 1:
            return []
        raise OutOfRange(f"the log of {self.service} begins at {floor}; what lies behind {after} is no longer kept")

    async def _in_stream(self, after: int, limit: int) -> list[Delivery]:
        try:
            return await self._direct(after + 1, limit)
        except NoRespondersError:  # no such stream
            return []
        except (NatsError, TimeoutError) as error:
            raise Unavailable(f"stream {self.stream} does not answer") from error

    async def _direct(self, first: int, limit: int) -> list[Delivery]:
        inbox = self.nats.new_inbox()
        arriving = await self.nats.subscribe(inbox)
        try:
            wish = {"seq": first, "batch": limit, "max_bytes": _PAGE_BYTES}
            await self.nats.publish(f"$JS.API.DIRECT.GET.{self.stream}", json.dumps(wish).encode(), reply=inbox)
            found: list[Delivery] = []
            async with asyncio.timeout(_TIMEOUT_S):
                while (delivery := _from_direct(await arriving.next_msg(_TIMEOUT_S))) is not None:
                    found.append(delivery)
            return found
        finally:
            with contextlib.suppress(NatsError):
                await arriving.unsubscribe()


def _from_direct(msg: Msg) -> Delivery | None:
    """None at the end of a batch, also an empty one."""
    headers: dict[str, Any] = dict(msg.headers or {})
    status = headers.get("Status")
    if status == "503":
        raise NoRespondersError
    if status is not None and not headers.get("Nats-Sequence"):
        return None
    own = {name: value for name, value in headers.items() if not name.startswith("Nats-")}
    return Delivery("", sequence_of(own), int(headers["Nats-Sequence"]), own, msg.data, headers["Nats-Subject"])


def _contiguous(found: list[Delivery], after: int) -> list[Delivery]:
    for count, delivery in enumerate(found):
        if delivery.position != after + 1 + count:
            return found[:count]
    return found
