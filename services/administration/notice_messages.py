"""Notices as messages of the contract."""

from __future__ import annotations

from typing import Any

from lienthong.administration import v1
from mesh.times import timestamp
from services.administration.documents_notices import Notice


def notice_message(notice: Notice) -> v1.Notice:
    """A notice as callers see it."""
    return v1.Notice(
        id=notice.id,
        state=notice.state,
        revision=notice.revision,
        published_at=timestamp(notice.published_at_ms),
        updated_at=timestamp(notice.updated_at_ms),
        withdrawn_at=timestamp(notice.withdrawn_at_ms),
        causation_id=notice.causation_id,
        **_said(notice),
    )


def published(notice: Notice) -> v1.NoticePublished:
    """The event of a notice that stands from now on."""
    return v1.NoticePublished(
        notice_id=notice.id,
        revision=notice.revision,
        published_at=timestamp(notice.published_at_ms),
        **_said(notice),
    )


def updated(notice: Notice) -> v1.NoticeUpdated:
    """The event of a notice that says something else now."""
    return v1.NoticeUpdated(
        notice_id=notice.id, revision=notice.revision, updated_at=timestamp(notice.updated_at_ms), **_said(notice)
    )


def withdrawn(notice: Notice) -> v1.NoticeWithdrawn:
    """The event of a notice withdrawn."""
    return v1.NoticeWithdrawn(
        notice_id=notice.id,
        kind=notice.kind,
        happening=_happening(notice),
        revision=notice.revision,
        withdrawn_at=timestamp(notice.withdrawn_at_ms),
    )


def _said(notice: Notice) -> dict[str, Any]:
    """What it says of which happening."""
    said: dict[str, Any] = {
        "kind": notice.kind,
        "severity": notice.severity,
        "happening": _happening(notice),
        "headline": notice.headline,
        "text": notice.text,
    }
    if notice.latitude is not None:
        said["location"] = v1.Location(latitude=notice.latitude, longitude=notice.longitude)
    return said


def _happening(notice: Notice) -> v1.Happening:
    return v1.Happening(origin=notice.origin, topic=notice.topic, key=notice.key)
