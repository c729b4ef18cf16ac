"""A stretch: what a stream holds now of one subject, from a sequence on, read once.

A consumer with a filter is made for it and left to the broker to forget. `DIRECT.GET` would be one request less for a
single message, but takes any subject of the stream, and no permission could tell what was declared (ADR-0019).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from mesh.bus import Account

_WAIT_S = 5.0
_FORGOTTEN_AFTER_S = 5.0


async def stretch(account: Account, *, stream: str, subject: str, start: int, limit: int) -> list[Msg]:
    """Returns up to `limit` messages from the stream sequence `start` on; fewer when the stream holds no more.

    Raises NotFoundError without the stream, TimeoutError when the broker stops answering.
    """
    name = f"stretch-{secrets.token_hex(12)}"
    consumer = await account.jetstream.add_consumer(
        stream,
        ConsumerConfig(
            name=name,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=max(1, start),
            ack_policy=AckPolicy.NONE,
            filter_subject=subject,
            inactive_threshold=_FORGOTTEN_AFTER_S,
            mem_storage=True,
            num_replicas=1,
        ),
    )
    wanted = min(limit, consumer.num_pending or 0)
    return await _pull(account, stream, name, wanted) if wanted else []


async def _pull(account: Account, stream: str, consumer: str, wanted: int) -> list[Msg]:
    arrived: asyncio.Queue[Msg] = asyncio.Queue()
    inbox = account.nats.new_inbox()
    subscription = await account.nats.subscribe(inbox, cb=arrived.put)
    messages: list[Msg] = []
    try:
        await account.pull(stream, consumer, {"batch": wanted, "no_wait": True}, inbox)
        async with asyncio.timeout(_WAIT_S):
            while len(messages) < wanted:
                message = await arrived.get()
                if not message.data and (message.headers or {}).get("Status"):
                    break  # what was pending is gone meanwhile
                messages.append(message)
    finally:
        with contextlib.suppress(NatsError):
            await subscription.unsubscribe()
    return messages
