"""The one place that imposes, changes and lifts restrictions.

    nothing ── impose ──→ IMPOSED ── change ──→ IMPOSED ── lift ──→ LIFTED ── impose ──→ IMPOSED

A restriction that follows a happening is one document, whose id is made of origin, topic and key of that happening:
whatever arrives in whatever order, the event with the highest `key_revision` decides what stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lienthong.transport.v1 import (
    LIFT_REASON_CAUSE_ENDED,
    LIFT_REASON_TIME_OVER,
    RESTRICTION_STATE_IMPOSED,
    RESTRICTION_STATE_LIFTED,
    RESTRICTION_STATE_UNSPECIFIED,
)
from mesh.events import Event
from mesh.store import Documents
from services.transport.documents import Restriction, RoadSegment, caused_restriction_id
from services.transport.restriction_messages import changed, imposed, lifted
from services.transport.segments import affected
from services.transport.terms import Terms


@dataclass(frozen=True, slots=True)
class Restrictions:
    """Restrictions as one handler run moves them."""

    store: Documents
    emit: Callable[[Any], None]
    now_ms: int

    def follow(self, event: Event, wanted: Terms | None) -> None:
        """Lets the restriction of a happening be what the event calls for; nothing when a later one was seen."""
        restriction = self._of(event)
        if event.key_revision <= restriction.key_revision:
            return
        restriction.key_revision = event.key_revision
        restriction.caused_by, restriction.cause_topic = causing(event), f"{event.sector}/{event.topic}"
        segments = affected(self.store, wanted.where) if wanted else []
        if wanted is None or not segments:
            self.end(restriction, LIFT_REASON_CAUSE_ENDED)
        elif wanted.until_ms <= self.now_ms:
            self._over(restriction, wanted, segments)
        else:
            self.let_stand(restriction, wanted, segments)
        self.store.put(restriction)

    def let_stand(self, restriction: Restriction, terms: Terms, segments: Sequence[RoadSegment]) -> None:
        """Imposes it on these terms, or changes it to them; says so when others can see a difference.

        Its cause never changes while it stands, so whoever follows restrictions of one cause hears of their end.
        """
        if restriction.cause != terms.cause:
            self.end(restriction, LIFT_REASON_CAUSE_ENDED)
        was_imposed, before = restriction.state == RESTRICTION_STATE_IMPOSED, _seen(restriction, terms.is_planned)
        _write(restriction, terms, segments)
        if was_imposed and before == _seen(restriction, terms.is_planned):
            return
        restriction.state, restriction.lifted_at_ms = RESTRICTION_STATE_IMPOSED, None
        restriction.changed_at_ms = self.now_ms
        restriction.revision += 1
        if not was_imposed:
            restriction.imposed_at_ms = self.now_ms
        self.emit(changed(restriction) if was_imposed else imposed(restriction))

    def end(self, restriction: Restriction, reason: int) -> None:
        """Lifts it if it stands."""
        if restriction.state != RESTRICTION_STATE_IMPOSED:
            return
        restriction.state = RESTRICTION_STATE_LIFTED
        restriction.lifted_at_ms = restriction.changed_at_ms = self.now_ms
        restriction.revision += 1
        self.emit(lifted(restriction, reason))

    def _over(self, restriction: Restriction, terms: Terms, segments: Sequence[RoadSegment]) -> None:
        """Its time was over before we heard of it: lifted, and where it never stood nobody needs to hear."""
        self.end(restriction, LIFT_REASON_TIME_OVER)
        _write(restriction, terms, segments)
        restriction.state = RESTRICTION_STATE_LIFTED
        restriction.lifted_at_ms = restriction.lifted_at_ms or terms.until_ms

    def _of(self, event: Event) -> Restriction:
        id = caused_restriction_id(event.origin, f"{event.sector}/{event.topic}", event.key)
        return self.store.get(Restriction, id) or Restriction(id=id, state=RESTRICTION_STATE_UNSPECIFIED)


def causing(event: Event) -> dict[str, str]:
    """What a restriction says of the happening it follows."""
    return {
        "origin": event.origin,
        "topic": f"{event.sector}/{event.topic}",
        "key": event.key,
        "type": event.type,
        "event_id": event.id,
    }


def _write(restriction: Restriction, terms: Terms, segments: Sequence[RoadSegment]) -> None:
    restriction.cause, restriction.effect, restriction.severity = terms.cause, terms.effect, terms.severity
    restriction.segments = [{"id": s.id, "name": s.name, "line": s.points} for s in segments]
    restriction.segment_ids = [segment.id for segment in segments]
    restriction.vehicle_classes = sorted(set(terms.vehicle_classes))
    restriction.from_ms, restriction.until_ms = terms.from_ms, terms.until_ms
    restriction.note = terms.note


def _seen(restriction: Restriction, is_planned: bool) -> tuple[Any, ...]:
    """What others can see of it and may have to act on."""
    return (
        restriction.cause,
        restriction.effect,
        restriction.severity,
        [dict(segment) for segment in restriction.segments],
        list(restriction.vehicle_classes),
        restriction.until_ms,
        restriction.from_ms if is_planned else None,
    )
