"""Compares streams with the logs they are copied from: position = stream sequence, and the same event under it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final

from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from lienthong.mesh import v1
from mesh.bus import Account, api_of
from mesh.cli.records import Entry, LogRecord, Snapshot
from mesh.cli.recount import Finding, Kind
from mesh.cli.running import RunningMesh
from mesh.errors import Unavailable
from mesh.identity import EXCHANGE
from mesh.source import delivery_of

_BATCH: Final = 500
_WAIT_S: Final = 2.0


async def compare(mesh: RunningMesh, snapshot: Snapshot) -> list[Finding]:
    """Compares every log with its stream, and what was received with what was shared.

    Raises Unavailable when a broker does not answer.
    """
    logs = await asyncio.gather(*(_compare_log(mesh, log) for log in snapshot.logs))
    received = await asyncio.gather(*(_compare_received(mesh, slug, snapshot.logs) for slug in mesh.localities))
    return [finding for found in (*logs, *received) for finding in found]


async def _compare_log(mesh: RunningMesh, log: LogRecord) -> list[Finding]:
    jetstream = await _streams(mesh, log.locality, log.service)
    ids = {entry.position: entry for entry in log.entries}
    try:
        first = (await jetstream.stream_info(log.stream)).state.first_seq
        held = {position: id async for position, _, _, id in _messages(jetstream, log.stream)}
    except NotFoundError:
        first, held = 0, {}
    except (NatsError, OSError) as error:
        raise Unavailable(f"stream {log.stream} of {log.locality} cannot be read: {type(error).__name__}") from error
    owed = [entry for entry in log.entries if first <= entry.position <= log.published]
    holes = [_of(log, Kind.STREAM_HOLE, e, "published, and not in the stream") for e in owed if e.position not in held]
    newest = log.entries[-1].position if log.entries else 0
    newest = max(newest, await _head(mesh, log)) if held and max(held) > newest else newest
    for position, id in held.items():
        entry = ids.get(position)
        if entry is not None and id != entry.id:
            holes.append(_of(log, Kind.STREAM_OTHER, entry, f"the stream has {id or 'no event'}, the log {entry.id}"))
        elif entry is None and position > newest:
            detail = f"the log ends at {newest}"
            holes.append(Finding(Kind.STREAM_OTHER, log.locality, log.stream, "", position, detail))
    return holes


async def _head(mesh: RunningMesh, log: LogRecord) -> int:
    """What the log has given by now: events go on being logged while we read."""
    heads = await mesh.ask(log.locality, "GetHeads", v1.GetHeadsRequest(service=log.service, log=log.name))
    return int(heads.position)


async def _compare_received(mesh: RunningMesh, locality: str, logs: Iterable[LogRecord]) -> list[Finding]:
    stream = f"RECEIVED_{locality.upper().replace('-', '_')}"
    shared = [log for log in logs if log.name == f"shared-{locality}"]
    known = {(entry.line, entry.sequence): entry.id for log in shared for entry in log.entries}
    heads: dict[str, int] = {}
    for line, sequence in known:
        heads[line] = max(heads.get(line, 0), sequence)
    jetstream = await _streams(mesh, locality, EXCHANGE)
    findings = []
    try:
        async for _, line, sequence, id in _messages(jetstream, stream):
            sent = known.get((line, sequence))
            if sent is not None and sent != id:
                detail = f"received {id}, the provider's share log has {sent}"
                findings.append(Finding(Kind.STREAM_OTHER, locality, stream, line, sequence, detail))
    except NotFoundError:
        return []
    except (NatsError, OSError) as error:
        raise Unavailable(f"stream {stream} of {locality} cannot be read: {type(error).__name__}") from error
    return findings


async def _streams(mesh: RunningMesh, locality: str, service: str) -> JetStreamContext:
    """The streams of one service, as the operator may look at them."""
    return Account(await mesh.nats(locality), api_of(service)).jetstream


async def _messages(jetstream: JetStreamContext, stream: str) -> AsyncIterator[tuple[int, str, int, str]]:
    """Stream sequence, line, sequence on the line and `ce-id` of every message the stream holds now."""
    last = (await jetstream.stream_info(stream)).state
    if not last.messages:
        return
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.NONE,
        headers_only=True,
        inactive_threshold=30.0,
        mem_storage=True,
    )
    subscription = await jetstream.pull_subscribe("", stream=stream, config=config)
    try:
        while True:
            try:
                messages = await subscription.fetch(_BATCH, timeout=_WAIT_S)
            except NatsTimeoutError:
                return
            for message in messages:
                delivery = delivery_of(message)
                yield delivery.position, delivery.line, delivery.sequence, delivery.headers.get("ce-id", "")
            if delivery_of(messages[-1]).position >= last.last_seq:
                return
    finally:
        await subscription.unsubscribe()


def _of(log: LogRecord, kind: Kind, entry: Entry, detail: str) -> Finding:
    return Finding(kind, log.locality, log.stream, entry.line, entry.sequence, f"position {entry.position}: {detail}")
