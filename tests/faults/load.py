"""Clients of the trial sector: they ask, ask again after a failure, and remember what was acknowledged.

    ledger = Ledger()
    async with Load(ledger, TrialAt("127.0.0.1:7001", token, stack.tls("hue")), prefix="kill") as load:
        await load.acknowledged(200)      # more than there are now
        ...                               # the fault
        await load.acknowledged(200)
    ledger                                # what the clients know; nobody asks any more

What they know is all a judge may believe: an acknowledgement, or that they were never told.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc

from mesh.renewing import RenewingChannel
from mesh.tls import Tls
from tests.trial.contract import RecordRequest, TrialServiceStub

# What a client may answer with the same request again: mesh/errors.py, TransientError.
_AGAIN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
}
_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # several clients, several connections
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 500),
]
_WINDOW = 8
"""Messages of one stream that wait for their answers."""


@dataclass
class Ledger:
    """What the clients know."""

    asked: dict[str, RecordRequest] = field(default_factory=dict)
    """By request_id."""
    answered: dict[str, int] = field(default_factory=dict)
    """Total that was acknowledged, by request_id."""
    failures: Counter[str] = field(default_factory=Counter)
    """Statuses after which a client asked again."""
    complaints: list[str] = field(default_factory=list)
    """What must never happen: two answers to one request, a status nobody should get."""

    def ask(self, request: RecordRequest) -> RecordRequest:
        self.asked[request.request_id] = request
        return request

    def answer(self, request_id: str, total: int) -> None:
        first = self.answered.setdefault(request_id, total)
        if first != total:
            self.complaints.append(f"request {request_id} was answered {first}, then {total}")

    def fail(self, error: grpc.aio.AioRpcError) -> None:
        code: grpc.StatusCode = error.code()
        self.failures[code.name] += 1
        if code not in _AGAIN:
            self.complaints.append(f"a client was told {code.name}: {error.details()}")

    @property
    def keys(self) -> list[str]:
        return sorted({request.key for request in self.asked.values()})

    def amounts(self, key: str, *, acknowledged: bool) -> list[int]:
        """Amounts of the requests that were, or were not, acknowledged."""
        return [
            request.amount
            for id, request in self.asked.items()
            if request.key == key and (id in self.answered) == acknowledged
        ]

    def answers(self, key: str) -> list[tuple[int, int]]:
        """Total and amount of each acknowledged request, in order of the totals."""
        found = ((total, self.asked[id]) for id, total in self.answered.items())
        return sorted((total, request.amount) for total, request in found if request.key == key)


@dataclass(frozen=True)
class TrialAt:
    """One place where the trial sector can be asked."""

    address: str
    token: str
    tls: Tls

    def channel(self) -> grpc.aio.Channel:
        """A connection of its own."""
        return RenewingChannel(self.address, self.tls, _OPTIONS)

    @property
    def metadata(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self.token}")]


class Connection:
    """A connection to one place, and after a failure to the next."""

    def __init__(self, places: Sequence[TrialAt], first: int) -> None:
        self._places = places
        self._at = first

    async def __aenter__(self) -> Self:
        self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def renew(self) -> None:
        """Goes on at the next place; with one place only on a new connection."""
        await self._channel.close()
        self._at += 1
        self._open()

    def _open(self) -> None:
        place = self._places[self._at % len(self._places)]
        self._channel = place.channel()
        self.stub = TrialServiceStub(self._channel)
        self.metadata = place.metadata


class Load:
    """Clients on connections of their own; half ask request by request, half on streams."""

    def __init__(
        self,
        ledger: Ledger,
        *places: TrialAt,
        prefix: str,
        keys: int = 16,
        clients: int = 6,
        rate: float = 200.0,
        gives_up_every: int = 4,
        deadline_s: float = 5.0,
        seed: int = 1,
    ) -> None:
        """`rate` is for all clients together, per second; `prefix` begins every key.

        With more than one place a client that fails goes on at the next. Each `gives_up_every`th single request is
        not asked again when it fails, so nobody ever learns what became of it.
        """
        self.ledger = ledger
        self.keys = [f"{prefix}-{number}" for number in range(keys)]
        self._places = places
        self._clients = clients
        self._pause_s = clients / rate
        self._gives_up_every = gives_up_every
        self._deadline_s = deadline_s
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._stopping = asyncio.Event()
        self._progress = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        for number in range(self._clients):
            client = self._ask_one_by_one(number) if number % 2 else self._ask_on_a_stream(number)
            self._tasks.append(asyncio.create_task(client, name=f"client-{number}"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Asks nothing new; what was asked is asked again until it is answered."""
        self._stopping.set()
        if error is not None:
            for task in self._tasks:
                task.cancel()
        results = await asyncio.wait_for(asyncio.gather(*self._tasks, return_exceptions=True), 60)
        for result in results:
            if isinstance(result, Exception) and error is None:
                raise result

    async def acknowledged(self, more: int, *, within_s: float = 60.0) -> None:
        """Returns when that many more requests than now are acknowledged."""
        before = len(self.ledger.answered)
        await self._wait(lambda: len(self.ledger.answered) >= before + more, within_s)

    async def failed(self, more: int, *, within_s: float = 60.0) -> None:
        """Returns when that many more requests than now have failed."""
        before = self.ledger.failures.total()
        await self._wait(lambda: self.ledger.failures.total() >= before + more, within_s)

    async def _wait(self, reached: Callable[[], bool], within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                while not reached():
                    self._check_clients()
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            answered, failures = len(self.ledger.answered), dict(self.ledger.failures)
            raise AssertionError(f"no progress within {within_s} s: {answered} acknowledged, {failures}") from None

    def _check_clients(self) -> None:
        for task in self._tasks:
            if task.done() and task.exception() is not None:
                task.result()

    # --- clients -----------------------------------------------------------------------------------------

    async def _ask_one_by_one(self, number: int) -> None:
        async with Connection(self._places, number // 2) as connection:
            while not self._stopping.is_set():
                request = self._new_request()
                gives_up = next(self._numbers) % self._gives_up_every == 0
                while not await self._ask(connection, request) and not gives_up:
                    await connection.renew()
                    await self._pause()
                await self._pause()

    async def _ask(self, connection: Connection, request: RecordRequest) -> bool:
        try:
            answer = await connection.stub.Record(request, metadata=connection.metadata, timeout=self._deadline_s)
        except grpc.aio.AioRpcError as error:
            self._failed(error)
            return False
        self._answered(answer)
        return True

    async def _ask_on_a_stream(self, number: int) -> None:
        unanswered: dict[str, RecordRequest] = {}
        async with Connection(self._places, number // 2) as connection:
            while unanswered or not self._stopping.is_set():
                call = connection.stub.RecordEach(metadata=connection.metadata)
                writing = asyncio.create_task(self._write(call, unanswered))
                try:
                    async for answer in call:
                        unanswered.pop(answer.request_id)
                        self._answered(answer)
                except grpc.aio.AioRpcError as error:
                    self._failed(error)
                    await connection.renew()
                    await self._pause()
                finally:
                    writing.cancel()
                    await asyncio.gather(writing, return_exceptions=True)

    async def _write(self, call: Any, unanswered: dict[str, RecordRequest]) -> None:
        """First what the broken stream before left unanswered, then new requests."""
        for request in list(unanswered.values()):
            await call.write(request)
        while not self._stopping.is_set():
            await self._pause()
            if len(unanswered) < _WINDOW:
                request = self._new_request()
                unanswered[request.request_id] = request
                await call.write(request)
        await call.done_writing()

    def _new_request(self) -> RecordRequest:
        amount = self._random.randint(1, 1_000_000)
        key = self._random.choice(self.keys)
        return self.ledger.ask(RecordRequest(request_id=uuid.uuid4().hex, key=key, amount=amount))

    def _answered(self, answer: Any) -> None:
        self.ledger.answer(answer.request_id, answer.total)
        self._progress.set()

    def _failed(self, error: grpc.aio.AioRpcError) -> None:
        self.ledger.fail(error)
        self._progress.set()

    async def _pause(self) -> None:
        """The rate of one client; ends early when nothing new is to be asked."""
        try:
            await asyncio.wait_for(self._stopping.wait(), self._pause_s)
        except TimeoutError:
            return
        await asyncio.sleep(self._pause_s)
