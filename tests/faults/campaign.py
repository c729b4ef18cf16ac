"""One fault campaign: load on a locality, a fault in its midst, rest, and the judge.

    campaign = Campaign(stack, "kill")
    async with campaign.load() as load:
        await load.acknowledged(200)
        await stack.child("da-nang.services").kill()
        await load.acknowledged(200)

    assert (await campaign.verdict()).clean

Rest is found without asking anybody who is being judged: after the load one more event is recorded on each line, and
when every entitled witness has seen those, whatever came before them on their lines has been handled, or never will be.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from pymongo import AsyncMongoClient
from pymongo.errors import ConnectionFailure

from mesh.container import database_name
from mesh.events import PARTITIONS, partition_of
from mesh.stack import Stack
from tests.faults.judge import Seen, Verdict, judge
from tests.faults.load import Connection, Ledger, Load, TrialAt
from tests.trial.contract import GetTotalRequest, RecordRequest

_REST_S = 60.0


class Campaign:
    """What clients know, and what became of it in every entitled locality."""

    def __init__(self, stack: Stack, name: str, *, origin: str = "da-nang", entitled: Collection[str] | None = None):
        """`name` begins every key of the campaign, so that several may use one stack one after the other.

        Entitled are, unless told otherwise, all localities.
        """
        self.stack = stack
        self.name = name
        self.origin = origin
        self.entitled = tuple(stack.localities if entitled is None else entitled)
        self.ledger = Ledger()
        self._since = datetime.now(UTC) - timedelta(milliseconds=1)

    def place(self) -> TrialAt:
        """Where the origin's trial sector is asked."""
        return TrialAt(self.stack.grpc_address(self.origin), self.stack.token(self.origin), self.stack.tls(self.origin))

    def load(self, *others: TrialAt, **options: Any) -> Load:
        """Clients of this campaign, not yet started; `others` are further places where they may ask."""
        return Load(self.ledger, self.place(), *others, prefix=self.name, **options)

    async def record(self, key: str, amount: int = 1, *, note: str = "") -> None:
        """Records one amount, asking until it is answered."""
        request = RecordRequest(request_id=uuid.uuid4().hex, key=key, amount=amount, note=note)
        async with Connection([self.place()], 0) as connection:
            answer = await _answered(connection, self.ledger.ask(request))
        self.ledger.answer(request.request_id, answer.total)

    async def rest(self, within_s: float = _REST_S) -> None:
        """Returns when every entitled witness has handled what was recorded before."""
        fences = [self._fence_key(partition) for partition in range(PARTITIONS)]
        async with Connection([self.place()], 0) as connection:
            for key in fences:
                await _answered(connection, RecordRequest(request_id=uuid.uuid4().hex, key=key, amount=1))
        missing = {(locality, key) for locality in self.entitled for key in fences}

        async def all_seen() -> bool:
            for locality in self.entitled:
                seen = await self.seen(locality, fences)
                missing.difference_update((locality, key) for key in seen)
            return not missing

        await until(all_seen, within_s, lambda: f"lines that did not come to rest: {sorted(missing)}")

    async def verdict(self, *, within_s: float = _REST_S, expected_letters: int = 0) -> Verdict:
        """Comes to rest and judges; so many dead letters are expected in each entitled locality."""
        ledger, late = self.ledger, []
        try:
            await self.rest(within_s)
        except (AssertionError, TimeoutError) as error:
            late.append(str(error) or "the last requests were not answered")
        letters = {locality: await self.letters(locality) for locality in self.entitled}
        verdict = judge(
            ledger,
            await self.totals(ledger.keys),
            {locality: await self.seen(locality, ledger.keys) for locality in self.entitled},
            [letter for found in letters.values() for letter in found[expected_letters:]],
        )
        verdict.lost += late
        for locality, found in letters.items():
            if len(found) < expected_letters:
                verdict.complaints.append(f"{len(found)} dead letters in {locality}, {expected_letters} expected")
        return verdict

    async def totals(self, keys: Collection[str]) -> dict[str, int]:
        """What the trial sector answers, by key; 0 for one it does not know."""
        totals: dict[str, int] = {}
        async with Connection([self.place()], 0) as connection:
            for key in keys:
                try:
                    answer = await connection.stub.GetTotal(
                        GetTotalRequest(key=key), metadata=connection.metadata, timeout=10
                    )
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.NOT_FOUND:
                        raise
                else:
                    totals[key] = answer.total
        return totals

    async def seen(self, locality: str, keys: Collection[str]) -> dict[str, Seen]:
        """What the witness of a locality saw of keys of this origin."""
        prefix = f"{self.origin}_"
        query = {"_id": {"$in": [prefix + key for key in keys]}}
        async with self._database(locality, "witness") as database:
            return {
                raw["_id"].removeprefix(prefix): Seen(raw["count"], raw["total"], tuple(raw["sequences"]))
                async for raw in database["sightings"].find(query)
            }

    async def letters(self, locality: str) -> list[str]:
        """Dead letters of this campaign's time, in all services of a locality."""
        found: list[str] = []
        async with AsyncMongoClient[dict[str, Any]](self.stack.mongodb_uri) as mongodb:
            for name in await mongodb.list_database_names():
                if name.startswith(database_name(locality, "")):
                    letters = mongodb[name]["dead_letters"].find({"state": "DEAD", "at": {"$gte": self._since}})
                    found += [f"{raw['_id']} of key {raw['key'] or 'none'}: {raw['error']}" async for raw in letters]
        return found

    def _database(self, locality: str, service: str) -> Any:
        return _Database(self.stack.mongodb_uri, database_name(locality, service))

    def _fence_key(self, partition: int) -> str:
        candidates = (f"{self.name}-fence-{uuid.uuid4().hex[:8]}" for _ in itertools.count())
        return next(key for key in candidates if partition_of(key) == partition)


class _Database:
    """One database, as long as the block lasts."""

    def __init__(self, uri: str, name: str) -> None:
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri)
        self._name = name

    async def __aenter__(self) -> Any:
        return self._client[self._name]

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()


async def until(check: Callable[[], Awaitable[bool]], within_s: float, found: Callable[[], str]) -> None:
    """Returns when the condition holds; fails with what was `found` instead."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            if await check():
                return
        except ConnectionFailure:  # a server that is being restarted
            pass
        assert time.monotonic() < deadline, f"{found()} (within {within_s} s)"
        await asyncio.sleep(0.05)


async def _answered(connection: Connection, request: RecordRequest) -> Any:
    """Asks until it is answered."""
    async with asyncio.timeout(_REST_S):
        while True:
            try:
                return await connection.stub.Record(request, metadata=connection.metadata, timeout=10)
            except grpc.aio.AioRpcError:
                await connection.renew()
                await asyncio.sleep(0.1)
