"""What becomes of permits: applied for, granted, changed, cancelled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from lienthong.administration import v1
from lienthong.administration.v1 import PERMIT_KIND_ROAD_WORKS, PERMIT_STATE_APPLIED
from lienthong.transport.v1 import GetRoadSegmentsRequest, GetRoadSegmentsResponse
from mesh.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from mesh.store import Documents
from mesh.times import to_ms
from mesh.work import Emitter
from services.administration.documents_permits import Permit, permit_id
from services.administration.permit_messages import cancelled, changed, granted
from services.administration.permit_states import Step, state_after, state_at

_SEGMENTS_NAMED: Final = 5


class Transport(Protocol):
    """What is asked of the transport sector."""

    def get_road_segments(self, request: GetRoadSegmentsRequest, /) -> GetRoadSegmentsResponse: ...


@dataclass(frozen=True, slots=True)
class Permits:
    """The permits of one locality, at one moment."""

    store: Documents
    emit: Emitter
    transport: Transport
    now_ms: int

    def apply(self, request: v1.ApplyForPermitRequest) -> Permit:
        """Keeps an application. Raises InvalidArgument, or AlreadyExists when another caller used the `request_id`."""
        self._check_place(request)
        from_ms, until_ms = self._checked_times(request)
        permit = Permit(
            id=permit_id(request.request_id),
            kind=request.kind,
            title=request.title,
            segment_ids=_each_once(request.segment_ids),
            from_ms=from_ms,
            until_ms=until_ms,
            full_closure=request.full_closure,
            applicant_ref=request.applicant_ref,
            state=PERMIT_STATE_APPLIED,
            applied_at_ms=self.now_ms,
        )
        if request.HasField("location"):
            permit.latitude, permit.longitude = request.location.latitude, request.location.longitude
        if self.store.get(Permit, permit.id) is not None:
            raise AlreadyExists("permit", permit.id)
        self.store.put(permit)
        return permit

    def grant(self, id: str) -> Permit:
        """Grants an application, once transport knows the segments of its road works."""
        permit = self._moved(id, Step.GRANT)
        if permit.until_ms <= self.now_ms:
            raise FailedPrecondition("the time that was applied for is over; cancel the application and apply anew")
        self._check_segments(permit.kind, permit.segment_ids)
        permit.granted_at_ms = self.now_ms
        self._put_next(permit)
        self.emit(granted(permit))
        return permit

    def change(self, request: v1.ChangePermitRequest) -> Permit:
        """Gives a granted permit other times or segments; the same ones again are no change, and no event."""
        permit = self._moved(request.permit_id, Step.CHANGE)
        _check_segments_given(permit.kind, request.segment_ids)
        from_ms, until_ms = self._checked_times(request)
        wanted = (_each_once(request.segment_ids), from_ms, until_ms, request.full_closure)
        if wanted == (list(permit.segment_ids), permit.from_ms, permit.until_ms, permit.full_closure):
            return permit
        self._check_segments(permit.kind, wanted[0])
        permit.segment_ids, permit.from_ms, permit.until_ms, permit.full_closure = wanted
        self._put_next(permit)
        self.emit(changed(permit, self.now_ms))
        return permit

    def cancel(self, id: str) -> Permit:
        """Ends a permit before its time, or withdraws an application, which nobody was told of."""
        permit = self._moved(id, Step.CANCEL)
        permit.cancelled_at_ms = self.now_ms
        if permit.granted_at_ms is None:
            self.store.put(permit)
            return permit
        self._put_next(permit)
        self.emit(cancelled(permit))
        return permit

    def _moved(self, id: str, step: Step) -> Permit:
        """The permit in the state after a step; nothing is staged yet."""
        permit = self.store.require(Permit, id, "permit")
        permit.state = state_after(step, state_at(self.now_ms, permit.state, permit.until_ms))
        return permit

    def _put_next(self, permit: Permit) -> None:
        permit.revision += 1
        self.store.put(permit)

    def _check_place(self, request: v1.ApplyForPermitRequest) -> None:
        """Segments say where road works are, a location where anything else is."""
        _check_segments_given(request.kind, request.segment_ids)
        is_road_works = request.kind == PERMIT_KIND_ROAD_WORKS
        if is_road_works == request.HasField("location"):
            must = "must be absent: road works say it with their segments" if is_road_works else "must be given"
            raise InvalidArgument.field("location", must, rule="location")

    def _checked_times(self, request: v1.ApplyForPermitRequest | v1.ChangePermitRequest) -> tuple[int, int]:
        start: Timestamp = getattr(request, "from")  # a keyword
        from_ms, until_ms = to_ms(start), to_ms(request.until)
        if until_ms <= max(from_ms, self.now_ms):
            raise InvalidArgument.field("until", "must be after `from` and in the future", rule="range")
        return from_ms, until_ms

    def _check_segments(self, kind: int, segment_ids: Iterable[str]) -> None:
        """Raises FailedPrecondition naming what transport does not know, Unavailable when it does not answer."""
        if kind != PERMIT_KIND_ROAD_WORKS:
            return
        answer = self.transport.get_road_segments(GetRoadSegmentsRequest(segment_ids=segment_ids))
        if missing := list(answer.missing):
            rest = len(missing) - _SEGMENTS_NAMED
            named = ", ".join(missing[:_SEGMENTS_NAMED]) + (f" and {rest} more" if rest > 0 else "")
            raise FailedPrecondition(f"transport knows no road segments {named}")


def _check_segments_given(kind: int, segment_ids: Iterable[str]) -> None:
    if kind == PERMIT_KIND_ROAD_WORKS and not list(segment_ids):
        raise InvalidArgument.field("segment_ids", "must name the road segments of the works", rule="required")


def _each_once(segment_ids: Iterable[str]) -> list[str]:
    return sorted(set(segment_ids))
