"""What an alert does to the advisory that follows it.

Raised and Lifted come in order, but a retried dead letter may come late; `key_revision` says which is the later word.
"""

from __future__ import annotations

from lienthong.environment.v1 import AirQualityAlertLifted, AirQualityAlertRaised
from lienthong.health.v1 import ADVISORY_STATE_ISSUED, ADVISORY_STATE_WITHDRAWN
from mesh.events import Event
from mesh.store import Documents
from services.health.documents import HealthAdvisory, advisory_id


def follow_raised(store: Documents, alert: AirQualityAlertRaised, event: Event, now_ms: int) -> HealthAdvisory | None:
    """Issues advice; returns it when there is something to say."""
    advisory = _followed(store, alert.station_id, event)
    if advisory is None:
        return None
    is_news = advisory.state != ADVISORY_STATE_ISSUED or advisory.band != alert.band
    advisory.state, advisory.band, advisory.index = ADVISORY_STATE_ISSUED, alert.band, alert.index
    if is_news:
        advisory.issued_at_ms, advisory.withdrawn_at_ms = now_ms, None
    store.put(advisory)
    return advisory if is_news else None


def follow_lifted(store: Documents, alert: AirQualityAlertLifted, event: Event, now_ms: int) -> HealthAdvisory | None:
    """Withdraws advice; returns it when there is something to say."""
    advisory = _followed(store, alert.station_id, event)
    if advisory is None:
        return None
    was_issued = advisory.state == ADVISORY_STATE_ISSUED
    advisory.state, advisory.withdrawn_at_ms = ADVISORY_STATE_WITHDRAWN, now_ms
    store.put(advisory)
    return advisory if was_issued else None


def _followed(store: Documents, station_id: str, event: Event) -> HealthAdvisory | None:
    """The advisory, now following this event; None when it follows a later one."""
    id = advisory_id(event.origin, station_id)
    advisory = store.get(HealthAdvisory, id)
    if advisory is None:
        advisory = HealthAdvisory(id=id, origin=event.origin, station_id=station_id, state=0, key_revision=0)
    elif event.key_revision <= advisory.key_revision:
        return None
    advisory.key_revision, advisory.causation_id = event.key_revision, event.id
    return advisory
