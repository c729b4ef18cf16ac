"""A stretch: what a stream holds now of one subject, from a sequence on, read once.

A consumer with a filter is made for it and left to the broker to forget. `DIRECT.GET` would be one request less for a
single message, but takes any subject of the stream, and no permission could tell what was declared (ADR-0019).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

_WAIT_S = 5.0
_FORGOTTEN_AFTER_S = 5.0


async def stretch(
    nats: Client, jetstream: JetStreamContext, *, stream: str, subject: str, start: int, limit: int
) -> list[Msg]:
    """Returns up to `limit` messages from the stream sequence `start` on; fewer when the stream holds no more.

    Raises NotFoundError without the stream, TimeoutError when the broker stops answering.
    """
    name = f"stretch-{secrets.token_hex(12)}"
    consumer = await jetstream.add_consumer(
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
    return await _pull(nats, f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}", wanted) if wanted else []


async def _pull(nats: Client, subject: str, wanted: int) -> list[Msg]:
    arrived: asyncio.Queue[Msg] = asyncio.Queue()
    inbox = nats.new_inbox()
    subscription = await nats.subscribe(inbox, cb=arrived.put)
    messages: list[Msg] = []
    try:
        await nats.publish(subject, json.dumps({"batch": wanted, "no_wait": True}).encode(), reply=inbox)
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
