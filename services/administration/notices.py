"""What an event does to the notice of its happening.

    nothing said ── told ──→ PUBLISHED ── ended ──→ WITHDRAWN
                      │  ↑ told                       │
                      └──┘ updated     ←──── told ────┘

There is one notice for each happening, whose id every event of the happening leads to. `key_revision` says which event
is the later word, so late and repeated ones change nothing; it is kept of every event, also of an end that comes first.
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import Message

from lienthong.administration.v1 import NOTICE_STATE_PUBLISHED, NOTICE_STATE_WITHDRAWN
from mesh.events import Event
from mesh.store import Documents
from services.administration.documents_notices import Notice, notice_id
from services.administration.notice_causes import Telling
from services.administration.notice_messages import published, updated, withdrawn


@dataclass(frozen=True, slots=True)
class Notices:
    """The notices of one locality, at one moment."""

    store: Documents
    now_ms: int

    def follow(self, event: Event, telling: Telling | None) -> Message | None:
        """Tells what an event gives to know, or withdraws it; returns the event of what changed, if anything did."""
        notice = self._following(event)
        if notice is None:
            return None
        said = self._say(notice, event, telling)
        self.store.put(notice)
        return said

    def _say(self, notice: Notice, event: Event, telling: Telling | None) -> Message | None:
        was_published = notice.state == NOTICE_STATE_PUBLISHED
        if telling is None:
            return self._withdraw(notice, event) if was_published else None
        if not was_published:
            return self._publish(notice, event, telling)
        return self._update(notice, event, telling) if telling != _told(notice) else None

    def _publish(self, notice: Notice, event: Event, telling: Telling) -> Message:
        _tell(notice, event, telling)
        notice.state = NOTICE_STATE_PUBLISHED
        notice.published_at_ms, notice.updated_at_ms, notice.withdrawn_at_ms = self.now_ms, None, None
        return published(notice)

    def _update(self, notice: Notice, event: Event, telling: Telling) -> Message:
        _tell(notice, event, telling)
        notice.updated_at_ms = self.now_ms
        return updated(notice)

    def _withdraw(self, notice: Notice, event: Event) -> Message:
        _changed_by(notice, event)
        notice.state, notice.withdrawn_at_ms = NOTICE_STATE_WITHDRAWN, self.now_ms
        return withdrawn(notice)

    def _following(self, event: Event) -> Notice | None:
        """The notice of the event's happening, now following it; None when it follows a later one."""
        topic = f"{event.sector}/{event.topic}"
        id = notice_id(event.origin, topic, event.key)
        notice = self.store.get(Notice, id) or Notice(id=id, origin=event.origin, topic=topic, key=event.key)
        if event.key_revision <= notice.key_revision:
            return None
        notice.key_revision = event.key_revision
        return notice


def _tell(notice: Notice, event: Event, telling: Telling) -> None:
    _changed_by(notice, event)
    notice.kind, notice.severity = telling.kind, telling.severity
    notice.headline, notice.text = telling.headline, telling.text
    notice.latitude, notice.longitude = telling.place or (None, None)


def _told(notice: Notice) -> Telling:
    place = None if notice.latitude is None else (notice.latitude, notice.longitude)
    return Telling(notice.kind, notice.severity, notice.headline, notice.text, place)


def _changed_by(notice: Notice, event: Event) -> None:
    notice.revision += 1
    notice.causation_id = event.id
