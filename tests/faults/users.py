"""Users of `lienthong.client` outside: writers, who read what they wrote, and subscribers to what the writes cause.

users = Users("kill", edge_url, ca, tokens)
async with users:
    await users.acknowledged(50)      # more than there are now
    ...                               # the fault
    await users.acknowledged(50)
    await users.have_heard(count)     # each subscriber so many events

They take nothing into account: the first error a client raises is theirs, and fails whoever waits for them.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from google.protobuf.timestamp_pb2 import Timestamp

from lienthong.client import AsyncClient, Delivery
from lienthong.environment.v1 import (
    AirQualityHourRecorded,
    Concentrations,
    GetStationRequest,
    ListHourlyAirQualityRequest,
    Location,
    Reading,
    RecordReadingsRequest,
    RegisterStationRequest,
    Station,
)
from lienthong.environment.v1.environment_service_pb2_grpc import EnvironmentServiceStub

DEADLINE_S = 60.0
WRITERS = 3
FIRST_HOUR = datetime(2026, 3, 1, tzinfo=UTC)

Tokens = Callable[[str], Callable[[], str]]
"""Gives a user, by name, what the user asks for tokens."""


class Writer:
    """Registers a station again and again, each time with another name, and records one reading for each hour.

    A reading closes the hour before it, which is an event: n writes that were acknowledged once make n - 1 events.
    """

    def __init__(self, station: str, client: AsyncClient, tell: Callable[[], None]) -> None:
        self.station = station
        self.rounds = 0
        """That were acknowledged, and read again."""
        self.slowest_s = 0.0
        self._environment = EnvironmentServiceStub(client.channel)
        self._tell = tell

    async def write_until(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self._write(self.rounds)
            self.rounds += 1
            self._tell()

    async def hours(self) -> list[tuple[datetime, int, int]]:
        """Closed hours as the service has them, each with its revision and its readings."""
        request = ListHourlyAirQualityRequest(station_id=self.station, page_size=1000)
        found = await self._environment.ListHourlyAirQuality(request)
        assert not found.next_page_token
        return [(hour.hour.ToDatetime(UTC), hour.revision, hour.readings_used) for hour in found.hours]

    @property
    def recorded(self) -> list[datetime]:
        """Hours that must be closed."""
        return [_hour(number) for number in range(self.rounds - 1)]

    async def _write(self, number: int) -> None:
        name = f"round {number}"
        station = Station(id=self.station, name=name, location=Location(latitude=16.46, longitude=107.56))
        await self._timed(self._environment.RegisterStation(RegisterStationRequest(request_id=_id(), station=station)))
        request = RecordReadingsRequest(request_id=_id(), readings=[_reading(self.station, number)])
        outcome = (await self._timed(self._environment.RecordReadings(request))).outcome
        assert (outcome.accepted, outcome.duplicate) == (1, 0), "it was recorded before it was acknowledged"
        read = await self._timed(self._environment.GetStation(GetStationRequest(station_id=self.station)))
        assert read.station.name == name

    async def _timed(self, call: Awaitable[Any]) -> Any:
        began = time.monotonic()
        answer = await call
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        return answer


class Subscriber:
    """Hears what becomes of the stations."""

    def __init__(self, stations: list[str], client: AsyncClient, tell: Callable[[], None]) -> None:
        self.heard: list[Delivery[AirQualityHourRecorded]] = []
        self._events = client.subscribe(AirQualityHourRecorded, key=stations, since=datetime.now(UTC))
        self._tell = tell

    async def listen(self) -> None:
        async for delivery in self._events:
            self.heard.append(delivery)
            self._tell()

    @property
    def ids(self) -> list[str]:
        return [delivery.id for delivery in self.heard]

    def hours(self, station: str) -> list[datetime]:
        """Hours of a station, in the order in which it heard of them."""
        return [one.event.hour.ToDatetime(UTC) for one in self.heard if one.key == station]


class Users:
    """As many of each, on connections of their own."""

    def __init__(self, name: str, address: str, ca: Path, tokens: Tokens) -> None:
        self.stations = [f"{name}-{number}" for number in range(WRITERS)]
        self._stopping = asyncio.Event()
        self._progress = asyncio.Event()
        names = [f"{kind}-{station}" for kind in ("writer", "subscriber") for station in self.stations]
        self._clients = [AsyncClient(address, token=tokens(one), ca=ca, deadline_s=DEADLINE_S) for one in names]
        tell = self._progress.set
        self.writers = [Writer(*one, tell) for one in zip(self.stations, self._clients, strict=False)]
        self.subscribers = [Subscriber(self.stations, client, tell) for client in self._clients[WRITERS:]]
        self._writing: list[asyncio.Task[None]] = []
        self._listening: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._listening = [asyncio.create_task(one.listen()) for one in self.subscribers]
        self._writing = [asyncio.create_task(one.write_until(self._stopping)) for one in self.writers]
        for task in (*self._writing, *self._listening):
            task.add_done_callback(lambda _: self._progress.set())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._writing, *self._listening]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(client.channel.close() for client in self._clients))

    async def acknowledged(self, more: int) -> None:
        """Returns when every writer has written and read that many times more."""
        wanted = [writer.rounds + more for writer in self.writers]
        await self.until(lambda: all(writer.rounds >= n for writer, n in zip(self.writers, wanted, strict=True)))

    async def written(self) -> None:
        """Lets the writers end what they have begun."""
        self._stopping.set()
        await asyncio.wait_for(asyncio.gather(*self._writing), DEADLINE_S)

    async def have_heard(self, count: int) -> None:
        """Returns when every subscriber was sent so many events."""
        await self.until(lambda: all(len(subscriber.heard) >= count for subscriber in self.subscribers))

    async def until(self, reached: Callable[[], bool], within_s: float = 60.0) -> None:
        """Returns when that is so; raises what a user was told that nobody should be told."""
        async with asyncio.timeout(within_s):
            while not reached():
                self._progress.clear()
                await self._next()

    async def _next(self) -> None:
        for task in (*self._writing, *self._listening):
            if task.done():
                task.result()
        await self._progress.wait()


def _hour(number: int) -> datetime:
    return FIRST_HOUR + timedelta(hours=number)


def _reading(station: str, number: int) -> Reading:
    at = Timestamp()
    at.FromDatetime(_hour(number) + timedelta(minutes=30))
    return Reading(station_id=station, observed_at=at, concentrations=Concentrations(pm25_ug_m3=20 + number % 7))


def _id() -> str:
    return uuid.uuid4().hex
