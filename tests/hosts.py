"""Services of the trial sector, hosted for a test: `home` starts and stops them against the session's servers.

    async def test_an_amount_is_recorded(home):
        host = await home.start(TrialService)
        trial = home.trial(host)

        assert (await trial.record("a", 3)).total == 3

Every test gets a locality no other test is using, so its databases and streams are its own. `homes` makes a home on
servers of the test's own.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import nats
import pytest
from google.rpc import error_details_pb2, status_pb2
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from lienthong.mesh.v1.node_service_pb2_grpc import NodeServiceStub
from mesh import localities
from mesh.auth import issue
from mesh.clock import Time
from mesh.config import Settings, load
from mesh.container import database_name
from mesh.events import events_stream
from mesh.host import Host
from mesh.stack.keys import Keys
from tests.conftest import RunningMongod, RunningNats
from tests.trial.contract import GetTotalRequest, RecordRequest, RecordResponse, TrialServiceStub
from tests.trial.services import WitnessService

WRITE, READ = "trial.write", "trial.read"
_slugs = itertools.cycle(slug for slug in localities.slugs() if slug != localities.NATIONAL)


async def eventually(check: Callable[[], Any], *, within_s: float = 15.0) -> Any:
    """Returns what `check` returns as soon as that is true. Fails with what it returned last."""
    deadline = time.monotonic() + within_s
    while True:
        found = check()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"still {found!r} after {within_s} s: {inspect.getsource(check).strip()}"
        await asyncio.sleep(0.02)


class TrialCalls:
    """What one caller asks of the trial sector."""

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self.stub = TrialServiceStub(channel)
        self.metadata = [("authorization", f"Bearer {token}")] if token else []

    async def record(
        self, key: str = "a", amount: int = 1, *, note: str = "", request_id: str = "", within_s: float = 20
    ) -> RecordResponse:
        request = record_request(key, amount, note=note, request_id=request_id)
        return await self.stub.Record(request, metadata=self.metadata, timeout=within_s)

    async def record_many(self, requests: Iterable[RecordRequest]) -> list[RecordResponse]:
        """All at the same time."""
        calls = (self.stub.Record(request, metadata=self.metadata, timeout=20) for request in requests)
        return await asyncio.gather(*calls)

    async def record_each(self, requests: Iterable[RecordRequest]) -> list[RecordResponse]:
        return [answer async for answer in self.stub.RecordEach(iter(requests), metadata=self.metadata, timeout=20)]

    async def total(self, key: str) -> int:
        answer = await self.stub.GetTotal(GetTotalRequest(key=key), metadata=self.metadata, timeout=20)
        return answer.total


def record_request(key: str = "a", amount: int = 1, *, note: str = "", request_id: str = "") -> RecordRequest:
    """A request no other has, unless it is given an id."""
    return RecordRequest(request_id=request_id or uuid.uuid4().hex, key=key, amount=amount, note=note)


class Home:
    """One locality: its key, its databases, the hosts started in it."""

    def __init__(self, locality: str, mongod: RunningMongod, nats_server: RunningNats, folder: Path) -> None:
        self.locality = locality
        self.mongodb_uri, self.nats_url = mongod.uri, nats_server.url
        self.keys = Keys(folder)
        self._mongo: MongoClient[dict[str, Any]] = MongoClient(mongod.uri, tz_aware=True)
        self._bus: Client | None = None
        self._hosts: list[Host] = []
        self._channels: list[grpc.aio.Channel] = []

    def settings(self, *, runtime: dict[str, Any] | None = None, **given: Any) -> Settings:
        auth = {"private_key_file": str(self.keys.file(self.locality)), "issuers": self.keys.issuers([self.locality])}
        given = {"insecure": True, "mongodb_uri": self.mongodb_uri, "nats_url": self.nats_url, "auth": auth, **given}
        runtime = {"workers": 8, "member_ttl_s": 2, **(runtime or {})}
        return load({}, sections={}, locality=self.locality, runtime=runtime, **given)

    async def start(self, *services: type[Any], clock: Time | None = None, **settings: Any) -> Host:
        """Starts a process with these services; it is stopped after the test at the latest."""
        host = Host(self.settings(**settings), services, time=clock)
        self._hosts.append(host)
        await host.start()
        return host

    async def stop(self, host: Host) -> None:
        """Stops it as SIGTERM does."""
        if host in self._hosts:
            self._hosts.remove(host)
            await host.stop()

    async def restart(self, host: Host) -> Host:
        """Stops a process and starts another with the same services."""
        await self.stop(host)
        return await self.start(*host._services)

    async def listening(self, host: Host, service: str) -> None:
        """Returns when every subscription of the service has begun: what is emitted from now on reaches it."""
        await eventually(lambda: all(flow.started_at for flow in host.containers[service].flows))

    def token(self, *scopes: str, subject: str = "tester", **given: Any) -> str:
        claims = {"issuer": self.locality, "audience": self.locality, "ttl": timedelta(hours=1), **given}
        return issue(
            claims.pop("key", None) or self.keys.private(self.locality), subject=subject, scopes=scopes, **claims
        )

    def trial(self, host: Host, *, subject: str = "tester", token: str | None = None) -> TrialCalls:
        """A caller with a connection of its own and, unless told otherwise, every scope."""
        return TrialCalls(self.channel(host), self.token("*", subject=subject) if token is None else token)

    def node(self, host: Host) -> Any:
        """Stub of the host's NodeService: `await node("GetStatus", request)`."""
        stub = NodeServiceStub(self.channel(host))
        metadata = [("authorization", f"Bearer {self.token('*')}")]
        return lambda method, request: getattr(stub, method)(request, metadata=metadata, timeout=20)

    def channel(self, host: Host) -> grpc.aio.Channel:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{host.port}", options=options)
        self._channels.append(channel)
        return channel

    # --- what is written where ------------------------------------------------------------------------------

    def database(self, service: str) -> Database[dict[str, Any]]:
        return self._mongo[database_name(self.locality, service)]

    def log(self, service: str = "trial") -> list[dict[str, Any]]:
        """What the service has logged, in order of position."""
        return list(self.database(service)["log"].find().sort("_id"))

    def counter(self, service: str = "trial") -> dict[str, Any]:
        return self.database(service)["progress"].find_one({"_id": "counter"}) or {}

    def sightings(self, service: str = "witness") -> dict[str, dict[str, Any]]:
        """What the witness saw, by key."""
        found = self.database(service)["sightings"].find()
        return {raw["_id"].partition("_")[2]: raw for raw in found}

    def seen(self, key: str, service: str = "witness") -> list[int]:
        """Sequences the witness saw of one key, in the order it saw them."""
        return self.sightings(service).get(key, {}).get("sequences", [])

    def logged(self, key: str, service: str = "trial") -> list[int]:
        """Sequences the log gave to the events of one key."""
        return [raw["sequence"] for raw in self.log(service) if raw["headers"].get("ce-subject") == key]

    def letters(self, service: str = "witness") -> list[dict[str, Any]]:
        return list(self.database(service)["dead_letters"].find().sort("sequence"))

    async def bus(self) -> Client:
        if self._bus is None:
            self._bus = await nats.connect(self.nats_url)
        return self._bus

    async def jetstream(self) -> JetStreamContext:
        return (await self.bus()).jetstream()

    def stream(self, service: str = "trial") -> str:
        return events_stream(self.locality, service)

    async def on_stream(self, service: str = "trial") -> list[Any]:
        """All messages of the service's stream, in order; none while there is no stream."""
        jetstream = await self.jetstream()
        try:
            state = (await jetstream.stream_info(self.stream(service))).state
        except NotFoundError:
            return []
        return [
            await jetstream.get_msg(self.stream(service), seq) for seq in range(state.first_seq, state.last_seq + 1)
        ]

    async def published(self, count: int, service: str = "trial") -> None:
        """Returns when the stream holds that many messages."""

        async def enough() -> bool:
            return len(await self.on_stream(service)) >= count

        await eventually(enough)

    async def close(self) -> None:
        await asyncio.gather(*(channel.close() for channel in self._channels))
        for host in reversed(self._hosts.copy()):
            await self.stop(host)
        if self._bus is not None:
            await self._bus.close()

    def wipe(self) -> None:
        """Drops the databases of the locality."""
        prefix = database_name(self.locality, "")
        for name in self._mongo.list_database_names():
            if name.startswith(prefix):
                self._mongo.drop_database(name)

    def forget(self) -> None:
        self._mongo.close()


Homes = Callable[..., Home]


@pytest.fixture
async def homes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Homes]:
    """Makes homes: `homes()` on the session's servers, `homes(mongod=new_mongod, nats=new_nats_server)` on others.

    Ask for the servers before `homes`, so that they outlive the hosts.
    """
    made: list[tuple[Home, bool]] = []

    def make(*, mongod: RunningMongod | None = None, nats: RunningNats | None = None) -> Home:
        shared = mongod is None
        mongod = mongod or request.getfixturevalue("mongod")
        nats = nats or request.getfixturevalue("nats_server")
        home = Home(next(_slugs), mongod, nats, tmp_path)
        made.append((home, shared))
        return home

    yield make
    for home, shared in made:
        await home.close()
        if shared:
            home.wipe()
        home.forget()


@pytest.fixture
def home(empty_nats: RunningNats, mongod: RunningMongod, homes: Homes) -> Home:
    """A locality of this test's own."""
    return homes(mongod=None, nats=empty_nats)


def witness(before: Callable[[Any, Any], None]) -> type[WitnessService]:
    """The witness with something in its way: `before(amount, event)` is called before it looks."""
    return type(
        "WitnessService", (WitnessService,), {"before": staticmethod(before), "__doc__": WitnessService.__doc__}
    )


class CommandNames(CommandListener):
    """Names of the commands sent to the database."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Not of interest."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Not of interest."""


def status_of(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """The `google.rpc.Status` a refusal carries."""
    trailers = dict(error.trailing_metadata() or ())
    return status_pb2.Status.FromString(trailers["grpc-status-details-bin"])


def detail_of(error: grpc.aio.AioRpcError, name: str) -> Any:
    """The detail of that class, as `BadRequest`."""
    detail = getattr(error_details_pb2, name)()
    for packed in status_of(error).details:
        if packed.Is(detail.DESCRIPTOR):
            packed.Unpack(detail)
            return detail
    raise AssertionError(f"the refusal has no {name}: {status_of(error)}")
