"""The health sector of Huế without I/O, and alerts as they come to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message
from nameko.testing.services import worker_factory

from lienthong.environment.v1 import (
    BAND_POOR,
    LIFT_REASON_INDEX_BELOW,
    AirQualityAlertLifted,
    AirQualityAlertRaised,
)
from lienthong.health.v1 import (
    ADVISORY_STATE_ISSUED,
    GetAdvisoryRequest,
    HealthAdvisory,
    ListAdvisoriesRequest,
)
from mesh.testing import ManualClock, MemoryStore, RecordingEmit
from services.health.documents import advisory_id
from services.health.service import HealthService

NOW = datetime(2026, 11, 9, 3, tzinfo=UTC)
STATION = "hang-dau"


@dataclass(frozen=True)
class Cause:
    """What a handler looks at of an event's envelope."""

    origin: str
    key_revision: int
    id: str = field(default="0198-cause")


@dataclass
class Locality:
    """The service without I/O, and what it said."""

    service: Any
    emitted: RecordingEmit
    clock: ManualClock

    def raised(self, revision: int, band: int = BAND_POOR, origin: str = "da-nang", station: str = STATION) -> None:
        alert = AirQualityAlertRaised(station_id=station, band=band, index=42 * band)
        self.service.advise_on_air_quality(alert, Cause(origin, revision, f"raised-{revision}"))

    def lifted(self, revision: int, origin: str = "da-nang", station: str = STATION) -> None:
        alert = AirQualityAlertLifted(station_id=station, reason=LIFT_REASON_INDEX_BELOW)
        self.service.withdraw_advice(alert, Cause(origin, revision, f"lifted-{revision}"))

    def advisory(self, origin: str = "da-nang") -> HealthAdvisory:
        request = GetAdvisoryRequest(advisory_id=advisory_id(origin, STATION))
        return self.service.get_advisory(request).advisory

    def kinds(self) -> list[type[Message]]:
        return [type(message) for message in self.emitted.messages]

    def standing(self) -> list[tuple[Any, ...]]:
        """Advice that stands, without when and because of which event it was given."""
        issued = self.service.list_advisories(ListAdvisoriesRequest(state=ADVISORY_STATE_ISSUED)).advisories
        return [(one.id, one.origin, one.station_id, one.band, one.index, one.advice_everyone) for one in issued]


def new_locality() -> Locality:
    emitted, clock = RecordingEmit(), ManualClock(NOW)
    return Locality(worker_factory(HealthService, store=MemoryStore(), emit=emitted, clock=clock), emitted, clock)
