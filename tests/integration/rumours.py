"""Happenings told in any order: what three sectors of one locality make of events that a test lets others say.

Environment, administration and the exchange run as they are, but for one call each that logs what the test says, as
numbered at its birth. A story is told in copies, each about a key of its own, so that one run can tell it in many ways.
"""

from __future__ import annotations

import itertools
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message

from lienthong.administration import v1 as administration
from lienthong.administration.v1.administration_service_pb2_grpc import AdministrationServiceStub
from lienthong.environment import v1 as environment
from lienthong.environment.v1.environment_service_pb2_grpc import EnvironmentServiceStub
from lienthong.exchange.v1 import ListQuarantineRequest, ListQuarantineResponse
from lienthong.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from lienthong.health.v1 import ADVISORY_STATE_ISSUED, ListAdvisoriesRequest
from lienthong.health.v1.health_service_pb2_grpc import HealthServiceStub
from lienthong.mesh.v1 import GetStatusRequest
from lienthong.transport import v1 as transport
from lienthong.transport.v1.transport_service_pb2_grpc import TransportServiceStub
from mesh import rpc
from mesh.events import Event, new_event, source_of
from services.administration.service import AdministrationService
from services.environment.service import EnvironmentService
from services.exchange.service import ExchangeService
from services.health.service import HealthService
from services.transport.service import TransportService
from tests.hosts import Home, eventually

NOW = datetime.now(UTC).replace(microsecond=0)
LATITUDE, LONGITUDE = 16.0, 108.2
REACTING = ("health", "transport", "administration")
AT_ONCE = 100
"""Events said in one call."""


class Environment(EnvironmentService):
    """Says what it was told to when asked to close hours."""

    said: list[Event] = []

    @rpc
    def close_hours(self, request: environment.CloseHoursRequest) -> environment.CloseHoursResponse:
        for event in self.said:
            self.emit.forward(event, line=event.line)
        return environment.CloseHoursResponse()


class Administration(AdministrationService):
    """The same when asked for field reports."""

    said: list[Event] = []

    @rpc
    def list_field_reports(
        self, request: administration.ListFieldReportsRequest
    ) -> administration.ListFieldReportsResponse:
        for event in self.said:
            self.emit.forward(event, line=event.line)
        return administration.ListFieldReportsResponse()


class Exchange(ExchangeService):
    """The same, of a peer, when asked for its quarantine."""

    said: list[Event] = []

    @rpc
    def list_quarantine(self, request: ListQuarantineRequest) -> ListQuarantineResponse:
        for event in self.said:
            self.emit.forward(event, line=event.line)
        return ListQuarantineResponse()


@dataclass(frozen=True)
class Story:
    """What happens to one thing, in order."""

    name: str
    messages: tuple[Message, ...]
    is_peers: bool = False

    def events(self, copy: int, here: str, peer: str) -> list[Event]:
        """Its events about the thing of that copy, as the log they were born in numbered them."""
        return [
            self._event(message, revision, f"{self.name}-{copy}", peer if self.is_peers else here)
            for revision, message in enumerate(self.messages, 1)
        ]

    def _event(self, message: Message, revision: int, key: str, origin: str) -> Event:
        told = type(message)()
        told.CopyFrom(message)
        sector = told.DESCRIPTOR.full_name.split(".")[1]
        setattr(told, "permit_id" if sector == "administration" else "station_id", key)
        event = new_event(told, source=source_of(origin, sector), time=NOW)
        return replace(event, origin_sequence=revision, key_revision=revision)


class Town:
    """The locality: what it is told, and what stands in it."""

    def __init__(self, home: Home, host: Any) -> None:
        self.home, self.host = home, host
        self.peer = "hue" if home.locality != "hue" else "da-nang"

    @classmethod
    async def open(cls, home: Home) -> Town:
        """Its services listen; it has two roads, one prone to floods, and an air station beside them."""
        services = (Environment, Administration, Exchange, HealthService, TransportService)
        town = cls(home, await home.start(*services))
        await eventually(town._listens)
        for id in ("low", "high"):
            road = transport.PutRoadSegmentRequest(request_id=id, segment=_segment(id))
            await town.ask(TransportServiceStub, "PutRoadSegment", road)
        location = environment.Location(latitude=LATITUDE, longitude=LONGITUDE)
        station = environment.Station(id="beside", name="Cạnh", location=location)
        request = environment.RegisterStationRequest(request_id="beside", station=station)
        await town.ask(EnvironmentServiceStub, "RegisterStation", request)
        return town

    async def ask(self, stub: type[Any], method: str, request: Message) -> Any:
        metadata = [("authorization", f"Bearer {self.home.token('*')}")]
        return await getattr(stub(self.home.channel(self.host)), method)(request, metadata=metadata, timeout=20)

    async def hear(self, tellings: Iterable[list[Event]]) -> None:
        """Lets all copies be told side by side, an event of each in turn, and returns when all is done with."""
        rounds = [[event for event in turn if event] for turn in itertools.zip_longest(*tellings)]
        by_log = defaultdict(list)
        for event in itertools.chain(*rounds):
            by_log["exchange" if event.origin == self.peer else event.sector].append(event)
        for log, events in by_log.items():
            teller, stub, method, request = _TELLERS[log]
            for first in range(0, len(events), AT_ONCE):
                teller.said = events[first : first + AT_ONCE]
                await self.ask(stub, method, request())
        await eventually(self._is_done, within_s=60)

    async def standing(self) -> dict[int, set[tuple[Any, ...]]]:
        """What stands because of each copy, without when and through which event it came to stand."""
        found: dict[int, set[tuple[Any, ...]]] = defaultdict(set)
        asked = transport.ListRestrictionsRequest(state=transport.RESTRICTION_STATE_IMPOSED, page_size=1000)
        restrictions = (await self.ask(TransportServiceStub, "ListRestrictions", asked)).restrictions
        keys = {one.id: one.caused_by.key for one in restrictions}
        for one in restrictions:
            _add(found, keys[one.id], "restriction", _terms(one))
        told = administration.ListNoticesRequest(state=administration.NOTICE_STATE_PUBLISHED, page_size=1000)
        for notice in (await self.ask(AdministrationServiceStub, "ListNotices", told)).notices:
            said = (notice.happening.origin, notice.severity, notice.headline, notice.text, str(notice.location))
            _add(found, notice.happening.key, "notice", said)
        advised = ListAdvisoriesRequest(state=ADVISORY_STATE_ISSUED, page_size=1000)
        for advice in (await self.ask(HealthServiceStub, "ListAdvisories", advised)).advisories:
            _add(found, advice.station_id, "advisory", (advice.origin, advice.band, advice.index))
        watched = environment.ListDustWatchesRequest(state=environment.DUST_WATCH_STATE_STANDING, page_size=1000)
        for watch in (await self.ask(EnvironmentServiceStub, "ListDustWatches", watched)).dust_watches:
            _add(found, keys[watch.id], "dust watch", (*watch.station_ids, str(watch.until)))
        return found

    def _listens(self) -> bool:
        return all(flow.started_at for each in self.host.containers.values() for flow in each.flows)

    async def _is_done(self) -> bool:
        """Whether every log is published and every subscription has acted on it; two looks in a row agree."""
        before, after = await self._look(), await self._look()
        return before == after and after[1] == 0

    async def _look(self) -> tuple[int, int]:
        """How much is committed, and how much is owed."""
        node = self.home.node(self.host)
        statuses = [await node("GetStatus", GetStatusRequest(service=name)) for name in self.host.containers]
        logs = [log for status in statuses for log in status.logs]
        lag = sum(each.lag + each.parked_lines for status in statuses for each in status.subscriptions)
        return sum(log.committed for log in logs), lag + sum(log.committed - log.published for log in logs)


_TELLERS: dict[str, tuple[Any, type[Any], str, Callable[[], Message]]] = {
    "environment": (
        *(Environment, EnvironmentServiceStub, "CloseHours"),
        lambda: environment.CloseHoursRequest(request_id=uuid.uuid4().hex),
    ),
    "administration": (
        *(Administration, AdministrationServiceStub, "ListFieldReports"),
        administration.ListFieldReportsRequest,
    ),
    "exchange": (Exchange, ExchangeServiceStub, "ListQuarantine", ListQuarantineRequest),
}
"""Who says what was born where, and how to ask it to."""


def _segment(id: str) -> transport.RoadSegment:
    ends = [transport.Location(latitude=LATITUDE, longitude=LONGITUDE + east) for east in (0.001, 0.002)]
    line = transport.LineString(points=ends)
    return transport.RoadSegment(id=id, name=id, line=line, flood_prone=id == "low")


def _terms(one: transport.RoadRestriction) -> tuple[Any, ...]:
    segments = tuple(affected.id for affected in one.segments)
    times = str(getattr(one, "from")), str(one.until)
    return (one.cause, one.effect, one.severity, segments, tuple(one.vehicle_classes), *times, one.note)


def _add(found: dict[int, set[tuple[Any, ...]]], key: str, what: str, terms: tuple[Any, ...]) -> None:
    story, _, copy = key.rpartition("-")
    found[int(copy)].add((story, what, *terms))
