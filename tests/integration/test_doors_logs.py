"""Every service asks for every topic in every log, with what its tokens carry; exactly what it declared opens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from lienthong.mesh.v1 import GetHeadsRequest, ReadLogRequest
from lienthong.mesh.v1.node_service_pb2_grpc import NodeServiceStub
from mesh.auth import ALL_SCOPES
from mesh.doors.declared import Declared, declared
from mesh.doors.principals import Principal, principals
from mesh.doors.subjects import EVERY, readings
from mesh.events import catalogue, event_subject, events_stream, line_name, partition_of
from mesh.host import Host
from mesh.identity import EXCHANGE, OPERATOR
from mesh.installed import installed_services, service_class
from tests.conftest import RunningMongod, RunningNats
from tests.hosts import Home, Homes, detail_of, eventually
from tests.trial.services import TrialService, WitnessService

CLASSES = [service_class(place) for place in installed_services().values()]
SERVICES = [declared(service) for service in CLASSES]
NAMES = {service.name for service in SERVICES}
TOPICS = sorted({(kind.sector, kind.topic) for kind in catalogue() if kind.sector in NAMES})
KEY = "k"


@dataclass(frozen=True)
class Asked:
    """One line of one log."""

    service: str
    """Whose log."""
    origin: str
    sector: str
    topic: str

    @property
    def line(self) -> str:
        return line_name(self.origin, self.sector, self.topic, partition_of(KEY))

    def is_on_the_bus_of(self, service: Declared, locality: str) -> bool:
        """Whether the service may read the same events from a stream."""
        stream = events_stream(locality, self.service)
        subject = event_subject(self.origin, self.sector, self.topic, partition_of(KEY))
        wanted = [read for interest in service.interests for read in readings(interest, locality)]
        return any(read.stream in (stream, EVERY) and _matches(read.subject, subject) for read in wanted)

    def scope(self, locality: str) -> str:
        """What a read of the line takes."""
        return f"mesh.log:{'local' if self.origin == locality else 'peers'}.{self.sector}.{self.topic}"


class Node:
    """The runtime of a process as one principal sees it."""

    def __init__(self, home: Home, host: Host, scopes: set[str] | frozenset[str]) -> None:
        self._stub = NodeServiceStub(home.channel(host))
        self._metadata = [("authorization", f"Bearer {home.token(*scopes)}")]

    async def read(self, **wanted: Any) -> list[Any]:
        """Entries of a log."""
        pages = self._stub.ReadLog(ReadLogRequest(**wanted), metadata=self._metadata, timeout=20)
        return [entry async for page in pages for entry in page.entries]

    async def heads(self, **known: Any) -> dict[str, int]:
        """Sequences by line."""
        request = GetHeadsRequest(**known)
        return dict((await self._stub.GetHeads(request, metadata=self._metadata, timeout=20)).sequences)

    async def lacks(self, asked: Asked) -> str | None:
        """The scope a read is refused for; None when it is answered."""
        try:
            await self.read(service=asked.service, line=asked.line, limit=1)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.PERMISSION_DENIED:
                raise
            return detail_of(error, "ErrorInfo").metadata["scope"]
        return None


@pytest.fixture
async def everything(empty_nats: RunningNats, mongod: RunningMongod, homes: Homes) -> tuple[Home, Host]:
    """A process with every installed service."""
    home = homes(mongod=None, nats=empty_nats)
    return home, await home.start(*CLASSES)


@pytest.mark.timeout(120)
async def test_exactly_the_declared_topics_open(everything: tuple[Home, Host]) -> None:
    """Over gRPC a service reads of a log what it may read of its stream; what is closed names the scope."""
    home, host = everything
    lines = list(_lines(home.locality))

    for service, principal in _by_service(home.locality):
        node = Node(home, host, principal.scopes)
        lacking = {asked: await node.lacks(asked) for asked in lines}

        opened = {asked for asked, scope in lacking.items() if scope is None}
        assert opened == {asked for asked in lines if asked.is_on_the_bus_of(service, home.locality)}, service.name
        if service.interests:
            assert all(scope in (None, asked.scope(home.locality)) for asked, scope in lacking.items())


@pytest.mark.timeout(60)
async def test_whole_logs_open_to_who_reads_all_events(everything: tuple[Home, Host]) -> None:
    """The gateway reads every log, the exchange those of its own sectors, everybody else none; the operator all."""
    home, host = everything
    sectors = {sector for sector, _ in TOPICS}
    opened = {
        principal.name: await _read_whole(Node(home, host, principal.scopes), sectors | {EXCHANGE})
        for principal in principals(SERVICES, home.locality)
        if principal.name in NAMES | {OPERATOR}
    }

    assert {name: logs for name, logs in opened.items() if logs} == {
        "gateway": sectors | {EXCHANGE},
        EXCHANGE: sectors,
        OPERATOR: sectors | {EXCHANGE},
    }


async def test_what_is_refused_tells_nothing(home: Home) -> None:
    """Neither an event nor how many there are; nor can counters of a line be raised that is not one's own."""
    host = await home.start(TrialService)
    await home.trial(host).record(KEY, 1)
    line = line_name(home.locality, "trial", "amount", partition_of(KEY))
    own = Node(home, host, {"mesh.log", "mesh.log:local.trial.amount"})
    other = Node(home, host, {"mesh.log", "mesh.log:local.trial.number", "mesh.log:peers.trial.amount"})
    elsewhere = Node(home, host, {"mesh.log", "mesh.log:local.environment.flood_alarm", "mesh.log:peers.*"})

    assert [entry.sequence for entry in await own.read(service="trial", line=line)] == [1]
    assert await own.heads(service="trial", known_sequences={line: 1}) == {line: 1}
    assert await other.heads(service="trial") == {}
    for refused in (
        own.read(service="trial"),
        own.read(service="trial", log="shared-hue"),
        other.read(service="trial", line=line),
        other.heads(service="trial", known_sequences={line: 7}),
        elsewhere.read(service="trial", line=line),
        elsewhere.heads(service="trial"),
    ):
        with pytest.raises(grpc.aio.AioRpcError, match="PERMISSION_DENIED"):
            await refused
    assert await Node(home, host, {ALL_SCOPES}).heads(service="trial") == {line: 1}


async def test_a_subscriber_elsewhere_reads_its_topic_of_the_log(home: Home) -> None:
    """With tokens it derives from its declaration: what its stream lost comes from the log."""
    recording = await home.start(TrialService)
    for amount in range(1, 4):
        await home.trial(recording).record(KEY, amount)
    await home.published(3)
    await (await home.jetstream()).purge_stream(home.stream(), seq=3)

    await home.start(WitnessService, services={"trial": f"127.0.0.1:{recording.port}"})

    await eventually(lambda: home.seen(KEY) == [1, 2, 3])


def _lines(locality: str) -> Iterator[Asked]:
    """A line of each topic as it is in its sector's log, and as it is in the exchange's."""
    elsewhere = "hue" if locality != "hue" else "da-nang"
    for sector, topic in TOPICS:
        yield Asked(sector, locality, sector, topic)
        yield Asked(EXCHANGE, elsewhere, sector, topic)


def _by_service(locality: str) -> list[tuple[Declared, Principal]]:
    found = {principal.name: principal for principal in principals(SERVICES, locality)}
    return [(service, found[service.name]) for service in SERVICES]


async def _read_whole(node: Node, logs: set[str]) -> set[str]:
    """Those of the logs that open."""
    return {log for log in logs if await _opens(node, log)}


async def _opens(node: Node, log: str) -> bool:
    try:
        await node.read(service=log, limit=1)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.PERMISSION_DENIED:
            raise
        return False
    return True


def _matches(filter: str, subject: str) -> bool:
    """As NATS matches: `*` one token, `>` all that follow."""
    wanted, tokens = filter.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted, tokens = wanted[:-1], tokens[: len(wanted) - 1]
    return len(wanted) == len(tokens) and all(one in ("*", token) for one, token in zip(wanted, tokens, strict=True))
