"""What a caller sees of the localities of a running stack."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lienthong.administration.v1 import ListNoticesRequest
from lienthong.administration.v1.administration_service_pb2_grpc import AdministrationServiceStub
from lienthong.environment.v1.environment_service_pb2_grpc import EnvironmentServiceStub
from lienthong.exchange.v1 import ApplyAgreementRequest
from lienthong.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from lienthong.health.v1 import ListAdvisoriesRequest
from lienthong.health.v1.health_service_pb2_grpc import HealthServiceStub
from lienthong.mesh.v1 import ListMarksRequest, ListServicesRequest, ReadLogRequest
from lienthong.mesh.v1.node_service_pb2_grpc import NodeServiceStub
from lienthong.transport.v1 import ListRestrictionsRequest, PutRoadSegmentRequest, RoadSegment
from lienthong.transport.v1.transport_service_pb2_grpc import TransportServiceStub
from mesh.cli.running import running_mesh
from mesh.cli.settling import caught_up
from mesh.client import open_channel
from mesh.events import catalogue
from mesh.stack import endpoints
from mesh.stack.stack import Stack
from mesh.tls import Tls
from services.exchange.agreement_file import bundled_agreements
from tests.hosts import eventually


@dataclass(frozen=True)
class Logged:
    """An event as a service's log has it."""

    name: str
    """Short name of its type."""
    id: str
    cause: str
    """`ce-id` of the event that led to it; empty when a call did."""
    message: Any


class City:
    """Calls the services of a locality with the operator's token."""

    def __init__(self, at):
        self.at = at
        self._channel = open_channel(at.grpc, Tls.of(at.credentials))
        self._token = ("authorization", f"Bearer {at.token}")
        self.environment = EnvironmentServiceStub(self._channel)
        self.transport = TransportServiceStub(self._channel)
        self.health = HealthServiceStub(self._channel)
        self.administration = AdministrationServiceStub(self._channel)
        self.exchange = ExchangeServiceStub(self._channel)
        self.node = NodeServiceStub(self._channel)

    async def call(self, method, request, *metadata):
        return await method(request, metadata=(self._token, *metadata), timeout=20)

    async def put_segments(self, *segments: RoadSegment):
        for segment in segments:
            request = PutRoadSegmentRequest(request_id=segment.id, segment=segment)
            await self.call(self.transport.PutRoadSegment, request)

    async def advisories(self, state=0):
        request = ListAdvisoriesRequest(state=state, page_size=1000)
        response = await self.call(self.health.ListAdvisories, request)
        assert not response.next_page_token
        return list(response.advisories)

    async def restrictions(self, state=0):
        request = ListRestrictionsRequest(state=state, page_size=1000)
        response = await self.call(self.transport.ListRestrictions, request)
        assert not response.next_page_token
        return list(response.restrictions)

    async def notices(self, state=0):
        request = ListNoticesRequest(state=state, page_size=1000)
        response = await self.call(self.administration.ListNotices, request)
        assert not response.next_page_token
        return list(response.notices)

    async def log(self, service) -> list[Logged]:
        """All that a service has logged, in order of position."""
        pages = self.node.ReadLog(ReadLogRequest(service=service), metadata=(self._token,), timeout=60)
        return [_logged(entry) async for page in pages for entry in page.entries]

    async def logged(self, service):
        """Messages in a service's log, by the short name of their type."""
        messages = defaultdict(list)
        for event in await self.log(service):
            messages[event.name].append(event.message)
        return messages

    async def counts(self, service) -> Counter[str]:
        """How many events of each type a service has logged."""
        return Counter(event.name for event in await self.log(service))

    async def listens(self) -> bool:
        """Whether every subscription has begun: what is emitted from now on reaches it."""
        services = (await self.call(self.node.ListServices, ListServicesRequest())).services
        answers = [await self.call(self.node.ListMarks, ListMarksRequest(service=name)) for name in services]
        return all(declared.started for answer in answers for declared in answer.declarations)

    async def close(self):
        await self._channel.close()


class Country:
    """The localities of a running stack, by slug."""

    def __init__(self, cities: Mapping[str, City], folder: Path):
        self._cities = cities
        self._folder = folder

    def __getitem__(self, slug: str) -> City:
        return self._cities[slug]

    async def settles(self):
        """Returns when all that was caused has come to its end, so that what is counted then is final."""
        async with running_mesh(self._folder) as mesh:
            assert await caught_up(mesh)


@asynccontextmanager
async def running_country(localities: Sequence[str], agreements: Sequence[str], folder: Path) -> AsyncIterator[Country]:
    """Some localities, everything they run, and the bundled agreements of these ids between them."""
    async with Stack(localities, folder):
        at = endpoints.read(folder / "endpoints.json").localities
        cities = {slug: City(at[slug]) for slug in localities}
        for agreement in bundled_agreements():
            if agreement.id in agreements:
                request = ApplyAgreementRequest(request_id=agreement.id, agreement=agreement)
                for slug in (agreement.recipient, agreement.provider):
                    await cities[slug].call(cities[slug].exchange.ApplyAgreement, request)
        for city in cities.values():
            await eventually(city.listens)
        yield Country(cities, folder)
        await asyncio.gather(*(city.close() for city in cities.values()))


def followed(effects: Sequence[Logged], causes: Sequence[Logged]) -> list[tuple[str, str]]:
    """Cause and effect, in the order of the effects; the cause is empty where it is none of those given."""
    names = {cause.id: cause.name for cause in causes}
    return [(names.get(effect.cause, ""), effect.name) for effect in effects]


def per_station(messages):
    """How many messages each station has."""
    return Counter(message.station_id for message in messages)


def _logged(entry) -> Logged:
    kind = catalogue()[entry.headers["ce-type"]]
    name, cause = kind.name.rpartition(".")[2], entry.headers.get("ce-causationid", "")
    return Logged(name, entry.headers["ce-id"], cause, kind.cls.FromString(entry.data))
