"""The permits of Đà Nẵng without I/O, with a transport sector that knows two road segments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from nameko.testing.services import worker_factory

from lienthong.administration import v1
from lienthong.administration.v1 import PERMIT_KIND_ROAD_WORKS
from lienthong.transport.v1 import GetRoadSegmentsRequest, GetRoadSegmentsResponse, RoadSegment
from mesh.errors import Unavailable
from mesh.testing import ManualClock, MemoryStore, RecordingEmit
from services.administration.service import AdministrationService

NOW = datetime(2026, 11, 9, 3, tzinfo=UTC)
KNOWN = ("bach-dang", "cau-rong")
BEACH = v1.Location(latitude=16.06, longitude=108.24)


class FakeTransport:
    """Answers as the transport sector does, unless it is away."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.is_away = False

    def get_road_segments(self, request: GetRoadSegmentsRequest) -> GetRoadSegmentsResponse:
        if self.is_away:
            raise Unavailable("transport is away")
        self.asked.append(list(request.segment_ids))
        return GetRoadSegmentsResponse(
            segments=[RoadSegment(id=id) for id in request.segment_ids if id in KNOWN],
            missing=[id for id in request.segment_ids if id not in KNOWN],
        )


@dataclass
class Desk:
    """Short ways to ask for what is done with permits."""

    service: Any
    emitted: RecordingEmit
    clock: ManualClock
    transport: FakeTransport
    requests: Iterator[int] = field(default_factory=itertools.count)

    def apply(
        self, kind: int = PERMIT_KIND_ROAD_WORKS, *, days: tuple[float, float] = (1, 3), **given: Any
    ) -> v1.Permit:
        """An application for works on Bạch Đằng, tomorrow and the day after."""
        where: dict[str, Any] = {"segment_ids": KNOWN[:1]} if kind == PERMIT_KIND_ROAD_WORKS else {"location": BEACH}
        terms = {"title": "Thay ống nước", "applicant_ref": "applicant-7", **times(*days), **where, **given}
        return self.service.apply_for_permit(v1.ApplyForPermitRequest(request_id=self._id(), kind=kind, **terms)).permit

    def grant(self, id: str) -> v1.Permit:
        return self.service.grant_permit(v1.GrantPermitRequest(request_id=self._id(), permit_id=id)).permit

    def change(self, id: str, *, days: tuple[float, float] = (1, 3), **given: Any) -> v1.Permit:
        terms = {"segment_ids": KNOWN[:1], **times(*days), **given}
        return self.service.change_permit(v1.ChangePermitRequest(request_id=self._id(), permit_id=id, **terms)).permit

    def cancel(self, id: str) -> v1.Permit:
        return self.service.cancel_permit(v1.CancelPermitRequest(request_id=self._id(), permit_id=id)).permit

    def get(self, id: str) -> v1.Permit:
        return self.service.get_permit(v1.GetPermitRequest(permit_id=id)).permit

    def listed(self, **wanted: Any) -> list[str]:
        return [permit.id for permit in self.service.list_permits(v1.ListPermitsRequest(**wanted)).permits]

    def wait(self, days: float) -> None:
        self.clock.advance(timedelta(days=days))

    def _id(self) -> str:
        return f"request-{next(self.requests)}"


def new_desk() -> Desk:
    emitted, clock, transport = RecordingEmit(), ManualClock(NOW), FakeTransport()
    given = {"store": MemoryStore(), "emit": emitted, "clock": clock, "transport": transport, "here": "da-nang"}
    return Desk(worker_factory(AdministrationService, **given), emitted, clock, transport)


def after(days: float) -> Timestamp:
    """That many days from the beginning of the test."""
    at = Timestamp()
    at.FromDatetime(NOW + timedelta(days=days))
    return at


def times(start: float, end: float) -> dict[str, Timestamp]:
    return {"from": after(start), "until": after(end)}
