"""History: one log of the locality, read from any position: from its stream, else from the log itself."""

from __future__ import annotations

import contextlib
import secrets
from typing import Final

from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from gateway.events.log_behind import LogPages
from mesh.bus import Account
from mesh.errors import OutOfRange, Unavailable
from mesh.source import Delivery, delivery_of
from mesh.stretch import stretch

PAGE: Final = 128
EVERY_EVENT: Final = "events.>"
_LOOK_S = 5.0


class History:
    """The events of one service of this locality."""

    def __init__(self, service: str, stream: str, account: Account, log: LogPages) -> None:
        self.service = service
        self.stream = stream
        self.account = account
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
            # A new consumer of all there is stands before its first message; no right to the stream's state is needed.
            look = await self.account.jetstream.add_consumer(self.stream, _from_the_first())
        except (NotFoundError, NoRespondersError):
            end = await self.end()
            return end, end
        except (NatsError, TimeoutError) as error:
            raise Unavailable(f"stream {self.stream} does not answer") from error
        with contextlib.suppress(NatsError, TimeoutError):
            await self.account.jetstream.delete_consumer(self.stream, look.name)
        before = look.delivered.stream_seq if look.delivered else 0
        return before, before + (look.num_pending or 0)

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
        read = stretch(self.account, stream=self.stream, subject=EVERY_EVENT, start=after + 1, limit=limit)
        try:
            return [delivery_of(msg) for msg in await read]
        except (NotFoundError, NoRespondersError):  # no such stream
            return []
        except (NatsError, TimeoutError) as error:
            raise Unavailable(f"stream {self.stream} does not answer") from error


def _from_the_first() -> ConsumerConfig:
    """Named, because the name and the filter are in the subject that makes it, and only so it may be made."""
    return ConsumerConfig(
        name=f"look-{secrets.token_hex(12)}",
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.NONE,
        filter_subject=EVERY_EVENT,
        inactive_threshold=_LOOK_S,
        mem_storage=True,
        num_replicas=1,
    )


def _contiguous(found: list[Delivery], after: int) -> list[Delivery]:
    for count, delivery in enumerate(found):
        if delivery.position != after + 1 + count:
            return found[:count]
    return found
