"""Restrictions that an operator imposes, changes and lifts. Those that follow a happening end with it, not by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lienthong.transport import v1
from mesh.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from mesh.store import Documents
from mesh.times import to_ms
from services.transport.documents import NEVER_MS, Restriction, requested_restriction_id
from services.transport.restrictions import Restrictions
from services.transport.segments import Named, require_segments
from services.transport.terms import Terms

Said = v1.ImposeRestrictionRequest | v1.ChangeRestrictionRequest


@dataclass(frozen=True, slots=True)
class ByHand:
    """What an operator does to restrictions."""

    restrictions: Restrictions

    @property
    def store(self) -> Documents:
        return self.restrictions.store

    def impose(self, request: v1.ImposeRestrictionRequest) -> Restriction:
        """Imposes a new one."""
        id = requested_restriction_id(request.request_id)
        if self.store.get(Restriction, id) is not None:
            raise AlreadyExists("restriction", id)
        restriction = Restriction(id=id, state=v1.RESTRICTION_STATE_UNSPECIFIED)
        return self._let_stand(restriction, self._terms(request, request.cause, self.restrictions.now_ms))

    def change(self, request: v1.ChangeRestrictionRequest) -> Restriction:
        """Puts it on other terms."""
        restriction = self._standing(request.restriction_id, "change")
        return self._let_stand(restriction, self._terms(request, restriction.cause, restriction.from_ms))

    def lift(self, request: v1.LiftRestrictionRequest) -> Restriction:
        """Ends it."""
        restriction = self._standing(request.restriction_id, "lift")
        self.restrictions.end(restriction, v1.LIFT_REASON_BY_HAND)
        self.store.put(restriction)
        return restriction

    def _let_stand(self, restriction: Restriction, terms: Terms) -> Restriction:
        self.restrictions.let_stand(restriction, terms, require_segments(self.store, terms.where.ids))
        self.store.put(restriction)
        return restriction

    def _standing(self, id: str, verb: str) -> Restriction:
        """The restriction, if it may be moved by hand."""
        restriction = known(self.store, id)
        if cause := restriction.caused_by:
            followed = f"{cause['origin']}/{cause['topic']}/{cause['key']}"
            raise FailedPrecondition(f"restriction {id} follows {followed} and ends with it; {verb} that")
        if restriction.state != v1.RESTRICTION_STATE_IMPOSED:
            raise FailedPrecondition(f"restriction {id} is LIFTED; {verb} needs IMPOSED", ["IMPOSED"])
        return restriction

    def _terms(self, request: Said, cause: int, from_ms: int) -> Terms:
        if request.HasField("from"):
            from_ms = to_ms(getattr(request, "from"))
        until_ms = to_ms(request.until) if request.HasField("until") else NEVER_MS
        if until_ms <= max(from_ms, self.restrictions.now_ms):
            raise InvalidArgument.field("until", "must be in the future and after from", rule="order")
        return Terms(
            cause=cause,
            effect=request.effect,
            severity=request.severity or v1.SEVERITY_UNKNOWN,
            where=Named(request.segment_ids),
            vehicle_classes=_vehicle_classes(request.vehicle_classes),
            from_ms=from_ms,
            is_planned=True,
            until_ms=until_ms,
            note=request.note,
        )


def known(store: Documents, id: str) -> Restriction:
    """The restriction; raises NotFound also when its happening never called for one."""
    restriction = store.require(Restriction, id, "restriction")
    if restriction.state == v1.RESTRICTION_STATE_UNSPECIFIED:
        raise NotFound("restriction", id)
    return restriction


def _vehicle_classes(classes: Sequence[int]) -> Sequence[int]:
    if v1.VEHICLE_CLASS_UNSPECIFIED in classes:
        raise InvalidArgument.field("vehicle_classes", "must be classes; empty for all", rule="required")
    return classes
