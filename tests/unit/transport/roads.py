"""The roads of Đà Nẵng without I/O, the happenings they follow, and short ways to say both.

Segments lie along a parallel: their distance from the gauge at Ái Nghĩa is that of longitude alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from nameko.testing.services import worker_factory

from lienthong.administration import v1 as administration
from lienthong.environment import v1 as environment
from lienthong.transport import v1
from mesh.errors import MeshError
from mesh.events import Event, catalogue
from mesh.geometry import METRES_PER_DEGREE, Place
from mesh.testing import ManualClock, MemoryStore, RecordingEmit
from services.transport.documents import Restriction
from services.transport.service import TransportService
from services.transport.settings import TransportSettings

HERE = "da-nang"
GAUGE = Place(15.88, 108.11)
MIDNIGHT = datetime(2026, 11, 9, tzinfo=UTC)
M = TypeVar("M", bound=Message)

HANDLERS = {
    environment.FloodAlarmRaised: "restrict_flooded_roads",
    environment.FloodAlarmEscalated: "restrict_flooded_roads_more",
    environment.FloodAlarmLowered: "restrict_flooded_roads_less",
    environment.FloodAlarmLifted: "free_flooded_roads",
    environment.AirQualityAlertRaised: "restrict_heavy_vehicles",
    environment.AirQualityAlertLifted: "free_heavy_vehicles",
    administration.PermitGranted: "restrict_for_road_works",
    administration.PermitChanged: "restrict_for_changed_road_works",
    administration.PermitCancelled: "free_cancelled_road_works",
    administration.FieldReportRouted: "follow_field_report",
    v1.IncidentReported: "restrict_for_incident",
    v1.IncidentChanged: "restrict_for_changed_incident",
    v1.IncidentCleared: "free_cleared_incident",
}


def at(hours: float) -> Timestamp:
    """A time, in hours after midnight."""
    time = Timestamp()
    time.FromDatetime(MIDNIGHT + timedelta(hours=hours))
    return time


def east(metres: float) -> Place:
    """The place that far east of the gauge."""
    degrees = metres / (METRES_PER_DEGREE * math.cos(math.radians(GAUGE.latitude)))
    return Place(GAUGE.latitude, GAUGE.longitude + degrees)


def segment(id: str, metres_east: float = 0, *, flood_prone: bool = True) -> v1.RoadSegment:
    """A hundred metres of road that begin so far east of the gauge."""
    ends = east(metres_east), east(metres_east + 100)
    points = [v1.Location(latitude=place.latitude, longitude=place.longitude) for place in ends]
    return v1.RoadSegment(id=id, name=f"Đường {id}", line=v1.LineString(points=points), flood_prone=flood_prone)


@dataclass(frozen=True)
class Told:
    """An event and its place in the life of its key."""

    message: Message
    key_revision: int
    origin: str = HERE

    def envelope(self) -> Event:
        kind = catalogue().of(type(self.message))
        return Event(
            id=f"{kind.key_of(self.message)}-{self.key_revision}",
            source=f"/{self.origin}/{kind.sector}",
            type=kind.name,
            time=MIDNIGHT,
            key=kind.key_of(self.message),
            data=self.message.SerializeToString(),
            key_revision=self.key_revision,
        )


def life(*messages: Message) -> list[Told]:
    """The events of one key, in order."""
    return [Told(message, revision) for revision, message in enumerate(messages, 1)]


class Administration:
    """Stands where the other sector is called; refuses as told."""

    def __init__(self) -> None:
        self.answers: list[administration.AnswerFieldReportRequest] = []
        self.refusal: MeshError | None = None

    def answer_field_report(self, request: administration.AnswerFieldReportRequest) -> Any:
        if self.refusal is not None:
            raise self.refusal
        self.answers.append(request)
        return administration.AnswerFieldReportResponse()


@dataclass
class Roads:
    """The service without I/O, and what it said."""

    service: Any
    emitted: RecordingEmit
    clock: ManualClock
    store: MemoryStore
    administration: Administration
    requests: Any = field(default_factory=itertools.count)

    def hear(self, *events: Told) -> None:
        """Runs the handler of each event."""
        for told in events:
            getattr(self.service, HANDLERS[type(told.message)])(told.message, told.envelope())

    def call(self, verb: str, **fields: Any) -> Any:
        """Answer of an RPC, `request_id` filled in where it has one."""
        request_type = getattr(v1, "".join(part.title() for part in verb.split("_")) + "Request")
        if "request_id" in request_type.DESCRIPTOR.fields_by_name:
            fields.setdefault("request_id", f"request-{next(self.requests)}")
        return getattr(self.service, verb)(request_type(**fields))

    def put(self, *segments: v1.RoadSegment) -> None:
        for one in segments:
            self.call("put_road_segment", segment=one)

    def said(self, kind: type[M]) -> list[M]:
        return self.emitted.of(kind)

    def kinds(self) -> list[str]:
        """What was said of restrictions, as `Imposed`."""
        names = (type(message).__name__ for message in self.emitted.messages)
        return [name.removeprefix("RoadRestriction") for name in names if name.startswith("RoadRestriction")]

    def hear_own(self) -> None:
        """Hears what it said of incidents, as it would from its own log."""
        revisions: dict[str, int] = {}
        for message in list(self.emitted.messages):
            if type(message) in HANDLERS:
                revisions[message.incident_id] = revisions.get(message.incident_id, 0) + 1
                self.hear(Told(message, revisions[message.incident_id]))

    def restrictions(self, **filters: Any) -> list[v1.RoadRestriction]:
        return list(self.call("list_restrictions", **filters).restrictions)

    def standing(self) -> list[tuple[Any, ...]]:
        """What stands, without when and through which event it came to stand."""
        found = self.store.find(Restriction, state=v1.RESTRICTION_STATE_IMPOSED, order_by=("id",))
        return [
            (
                one.id,
                one.cause,
                one.effect,
                one.severity,
                list(one.segment_ids),
                list(one.vehicle_classes),
                one.from_ms,
                one.until_ms,
                one.note,
            )
            for one in found
        ]


def new_roads(segments: Iterable[v1.RoadSegment] = (), hour: float = 12) -> Roads:
    """Roads at an hour after midnight."""
    store, emitted = MemoryStore(), RecordingEmit()
    clock, asked = ManualClock(MIDNIGHT + timedelta(hours=hour)), Administration()
    service = worker_factory(
        TransportService,
        store=store,
        emit=emitted,
        clock=clock,
        here=HERE,
        settings=TransportSettings(),
        administration=asked,
    )
    roads = Roads(service, emitted, clock, store, asked)
    roads.put(*segments)
    return roads
