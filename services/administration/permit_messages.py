"""Permits as messages of the contract."""

from __future__ import annotations

from typing import Any

from lienthong.administration import v1
from mesh.times import timestamp
from services.administration.documents_permits import Permit
from services.administration.permit_states import state_at


def permit_message(permit: Permit, now_ms: int) -> v1.Permit:
    """A permit as callers see it, without the applicant: answers of writes are kept, and lists go to many."""
    return v1.Permit(
        id=permit.id,
        state=state_at(now_ms, permit.state, permit.until_ms),
        applied_at=timestamp(permit.applied_at_ms),
        granted_at=timestamp(permit.granted_at_ms),
        cancelled_at=timestamp(permit.cancelled_at_ms),
        revision=permit.revision,
        **_terms(permit),
    )


def permit_with_applicant(permit: Permit, now_ms: int) -> v1.Permit:
    """A permit as one who asks for this one sees it."""
    message = permit_message(permit, now_ms)
    message.applicant_ref = permit.applicant_ref
    return message


def granted(permit: Permit) -> v1.PermitGranted:
    """The event of a permit granted."""
    return v1.PermitGranted(
        permit_id=permit.id, revision=permit.revision, granted_at=timestamp(permit.granted_at_ms), **_terms(permit)
    )


def changed(permit: Permit, now_ms: int) -> v1.PermitChanged:
    """The event of a permit with other times or segments."""
    return v1.PermitChanged(
        permit_id=permit.id, revision=permit.revision, changed_at=timestamp(now_ms), **_terms(permit)
    )


def cancelled(permit: Permit) -> v1.PermitCancelled:
    """The event of a permit that holds no longer."""
    return v1.PermitCancelled(
        permit_id=permit.id, kind=permit.kind, revision=permit.revision, cancelled_at=timestamp(permit.cancelled_at_ms)
    )


def _terms(permit: Permit) -> dict[str, Any]:
    """What is permitted, where and when."""
    terms: dict[str, Any] = {
        "kind": permit.kind,
        "title": permit.title,
        "segment_ids": permit.segment_ids,
        "from": timestamp(permit.from_ms),
        "until": timestamp(permit.until_ms),
        "full_closure": permit.full_closure,
    }
    if permit.latitude is not None:
        terms["location"] = v1.Location(latitude=permit.latitude, longitude=permit.longitude)
    return terms
