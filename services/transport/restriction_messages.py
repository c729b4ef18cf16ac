"""Restrictions as messages of the contract."""

from __future__ import annotations

from typing import Any

from lienthong.transport import v1
from services.transport.documents import Restriction
from services.transport.messages import line_message
from services.transport.times import at


def restriction_message(restriction: Restriction) -> v1.RoadRestriction:
    """A restriction as callers see it."""
    return v1.RoadRestriction(
        id=restriction.id,
        state=restriction.state,
        imposed_at=at(restriction.imposed_at_ms),
        changed_at=at(restriction.changed_at_ms),
        lifted_at=at(restriction.lifted_at_ms),
        **_whole(restriction),
    )


def imposed(restriction: Restriction) -> v1.RoadRestrictionImposed:
    """The event of one that stands, or stands again."""
    return v1.RoadRestrictionImposed(
        restriction_id=restriction.id, imposed_at=at(restriction.imposed_at_ms), **_whole(restriction)
    )


def changed(restriction: Restriction) -> v1.RoadRestrictionChanged:
    """The event of one that stands on other terms."""
    return v1.RoadRestrictionChanged(
        restriction_id=restriction.id, changed_at=at(restriction.changed_at_ms), **_whole(restriction)
    )


def lifted(restriction: Restriction, reason: int) -> v1.RoadRestrictionLifted:
    """The event of one that ended."""
    return v1.RoadRestrictionLifted(
        restriction_id=restriction.id,
        cause=restriction.cause,
        reason=reason,
        caused_by=_caused_by(restriction),
        lifted_at=at(restriction.lifted_at_ms),
        revision=restriction.revision,
    )


def _whole(restriction: Restriction) -> dict[str, Any]:
    """What resource and events have in common."""
    return {
        "cause": restriction.cause,
        "effect": restriction.effect,
        "severity": restriction.severity,
        "segments": [
            v1.AffectedSegment(id=segment["id"], name=segment["name"], line=line_message(segment["line"]))
            for segment in restriction.segments
        ],
        "vehicle_classes": restriction.vehicle_classes,
        "from": at(restriction.from_ms),
        "until": at(restriction.until_ms),
        "note": restriction.note,
        "caused_by": _caused_by(restriction),
        "revision": restriction.revision,
    }


def _caused_by(restriction: Restriction) -> v1.CausingEvent | None:
    return v1.CausingEvent(**restriction.caused_by) if restriction.caused_by else None
