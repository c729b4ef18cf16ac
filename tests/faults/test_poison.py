"""A poison event among good ones on one line."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from lienthong.mesh.v1 import (
    DeadLetter,
    DeadLetterState,
    DropDeadLetterRequest,
    ListDeadLettersRequest,
    RetryDeadLetterRequest,
)
from lienthong.mesh.v1.node_service_pb2_grpc import NodeServiceStub
from mesh.client import open_channel
from mesh.events import partition_of
from mesh.stack import Stack
from tests.faults.campaign import Campaign, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

DEAD, WAITING = DeadLetterState.DEAD_LETTER_STATE_DEAD, DeadLetterState.DEAD_LETTER_STATE_WAITING


async def test_a_poison_event_holds_back_only_its_key(stack: Stack) -> None:
    """One dead letter in each locality; behind it events of its key wait, and no other; dropped, it lets them go."""
    campaign, poisoned = Campaign(stack, "poison"), Campaign(stack, "poisoned")

    async with campaign.load() as load:
        key = _key_beside(load.keys)
        await load.acknowledged(100)
        await poisoned.record(key, 1)
        await poisoned.record(key, 1000, note="poison")
        await poisoned.record(key, 2)
        await poisoned.record(key, 3)
        await load.acknowledged(300)

    verdict = await campaign.verdict(expected_letters=1)
    assert verdict.clean, str(verdict)
    for locality in stack.localities:
        assert (await poisoned.seen(locality, [key]))[key].total == 1
        await _retried_it_fails_again(stack, locality, key)
        assert (await poisoned.seen(locality, [key]))[key].total == 1
        await _dropped_it_lets_go(stack, locality, key)

        async def all_seen(locality: str = locality) -> bool:
            return (await poisoned.seen(locality, [key]))[key].count == 3

        await until(all_seen, 20, lambda: "what waited behind the letter was not released")
        seen = (await poisoned.seen(locality, [key]))[key]
        assert seen.total == 1 + 2 + 3
        assert all(earlier < later for earlier, later in pairwise(seen.sequences))


async def _retried_it_fails_again(stack: Stack, locality: str, key: str) -> None:
    async with _node(stack, locality) as node:
        dead, *behind = await _letters(node, key)
        assert dead.state == DEAD
        assert [letter.state for letter in behind] == [WAITING, WAITING]

        await node("RetryDeadLetter", RetryDeadLetterRequest(service="witness", id=dead.id))

        async def dead_again() -> bool:
            first = (await _letters(node, key))[0]
            return first.attempts > dead.attempts and first.state == DEAD

        await until(dead_again, 20, lambda: "the letter was not tried again")


async def _dropped_it_lets_go(stack: Stack, locality: str, key: str) -> None:
    async with _node(stack, locality) as node:
        dead = (await _letters(node, key))[0]

        await node("DropDeadLetter", DropDeadLetterRequest(service="witness", id=dead.id))

        async def none_left() -> bool:
            return not await _letters(node, key)

        await until(none_left, 20, lambda: "letters are left")


Node = Callable[[str, Any], Awaitable[Any]]


@asynccontextmanager
async def _node(stack: Stack, locality: str) -> AsyncIterator[Node]:
    """Calls the locality's NodeService as its operator."""
    metadata = [("authorization", f"Bearer {stack.token(locality)}")]
    async with open_channel(stack.grpc_address(locality), stack.tls(locality)) as channel:
        stub = NodeServiceStub(channel)
        yield lambda method, request: getattr(stub, method)(request, metadata=metadata, timeout=20)


async def _letters(node: Node, key: str) -> list[DeadLetter]:
    """Letters of the key, in order."""
    answer = await node("ListDeadLetters", ListDeadLettersRequest(service="witness"))
    return sorted((letter for letter in answer.dead_letters if letter.key == key), key=lambda letter: letter.sequence)


def _key_beside(keys: Collection[str]) -> str:
    """A key on a line that other keys use too."""
    lines = {partition_of(key) for key in keys}
    return next(key for _ in range(1000) if partition_of(key := f"poison-{uuid.uuid4().hex[:8]}") in lines)
