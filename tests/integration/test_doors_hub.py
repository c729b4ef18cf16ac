"""Every locality says everything an agreement could open at the hub; exactly what the applied pair opens arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import permutations

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from mesh.sharing import api_prefix, deliver_prefix, share_stream
from tests.conftest import Nodes
from tests.hosts import eventually

DN, HUE, HN = "da-nang", "hue", "ha-noi"
PLACES = (DN, HUE, HN)
Cell = tuple[str, str, str]
"""Who says it, who hears it, and what."""


def asks(provider: str, recipient: str) -> set[str]:
    """What a recipient says to a provider to source its share stream."""
    stream = share_stream(provider, recipient)
    return {
        f"{api_prefix(provider)}.CONSUMER.CREATE.{stream}.name",
        f"{api_prefix(provider)}.CONSUMER.DELETE.{stream}.name",
        f"$JS.FC.{stream}.name.x",
        f"$JS.FC.{provider}.x.{stream}.name.x",
        f"$JS.ACK.{stream}.name.1.1.1.1.0",
        f"$JS.ACK.{provider}.x.{stream}.name.1.1.1.1.0",
    }


def answers(provider: str, recipient: str) -> set[str]:
    """What a provider says to a recipient that sources its share stream."""
    stream = share_stream(provider, recipient)
    return {f"{deliver_prefix(provider, recipient)}.x", f"$JSC.R.{provider}.x.{stream}.name.r"}


def everything() -> set[str]:
    """What any agreement opens, and more: the rest of the API, events, shares, inboxes."""
    pairs = list(permutations(PLACES, 2))
    agreed = {subject for pair in pairs for subject in asks(*pair) | answers(*pair)}
    closed = {
        *(f"events.{place}.health.advisory.0" for place in PLACES),
        *(f"shared.{one}.{other}.a.environment.air_quality_alert.0" for one, other in pairs),
        *(f"{api_prefix(place)}.{call}" for place in PLACES for call in ("INFO", "STREAM.NAMES", "STREAM.LIST")),
        *(f"{api_prefix(one)}.STREAM.MSG.GET.{share_stream(one, other)}" for one, other in pairs),
        *(f"{api_prefix(one)}.CONSUMER.MSG.NEXT.{share_stream(one, other)}.name" for one, other in pairs),
        *(f"{api_prefix(one)}.CONSUMER.CREATE.EVENTS_DA_NANG_HEALTH.name" for one in PLACES),
        *("_INBOX.health.x", "$JS.API.INFO", "anything"),
    }
    return agreed | closed


async def test_exactly_what_a_pair_opens_gets_through(three_nodes: Nodes) -> None:
    """With Da Nang's agreement to share with Hue in force, and none besides."""
    three_nodes.apply((DN, HUE))
    async with everybody_listens(three_nodes) as (clients, heard):
        for said_at, client in clients.items():
            for subject in everything():
                await client.publish(subject, said_at.encode())
            await client.flush()

        # The last thing each party says: what it said before has arrived by then, or never will.
        await _last_words(clients, heard)

    # A server takes the prefix of its own domain away.
    asked = {subject.replace(api_prefix(DN), "$JS.API") for subject in asks(DN, HUE)}
    opened = {(HUE, DN, subject) for subject in asked} | {(DN, HUE, subject) for subject in answers(DN, HUE)}
    assert {cell for cell in heard if cell[0] != cell[1] and not cell[2].endswith(".fence")} == opened


async def _last_words(clients: dict[str, Client], heard: set[Cell]) -> None:
    """Says something that is let through, each way, and waits for it."""
    await clients[DN].publish(f"{deliver_prefix(DN, HUE)}.fence", DN.encode())
    await clients[HUE].publish(f"$JS.FC.{share_stream(DN, HUE)}.fence", HUE.encode())
    for client in clients.values():
        await client.flush()
    await eventually(lambda: {(DN, HUE, f"{deliver_prefix(DN, HUE)}.fence")} <= heard)
    await eventually(lambda: {(HUE, DN, f"$JS.FC.{share_stream(DN, HUE)}.fence")} <= heard)


@asynccontextmanager
async def everybody_listens(nodes: Nodes) -> AsyncIterator[tuple[dict[str, Client], set[Cell]]]:
    """Somebody who may do everything at their own server, at each place; and what they hear of whom."""
    heard: set[Cell] = set()
    async with AsyncExitStack() as leaving:
        clients = {place: await nats.connect(nodes.url(place)) for place in PLACES}
        for place, client in clients.items():
            leaving.push_async_callback(client.close)
            for subject in (">", "$JS.>", "$JSC.>"):
                await client.subscribe(subject, cb=_noting(place, heard))
            await client.flush()
        yield clients, heard


def _noting(place: str, heard: set[Cell]) -> Callable[[Msg], Awaitable[None]]:
    async def note(message: Msg) -> None:
        if (said_at := message.data.decode()) in PLACES:  # and not what a server says of itself
            heard.add((said_at, place, message.subject))

    return note
