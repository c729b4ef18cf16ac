"""Advisories as messages of the contract."""

from __future__ import annotations

from lienthong.health import v1 as health_pb
from lienthong.health.v1 import HealthAdvisoryIssued, HealthAdvisoryWithdrawn
from mesh.times import timestamp
from services.health.advice import advice_for
from services.health.documents import HealthAdvisory


def advisory_message(advisory: HealthAdvisory) -> health_pb.HealthAdvisory:
    """An advisory as callers see it."""
    advice = advice_for(advisory.band)
    return health_pb.HealthAdvisory(
        id=advisory.id,
        origin=advisory.origin,
        station_id=advisory.station_id,
        band=advisory.band,
        index=advisory.index,
        advice_everyone=advice.everyone,
        advice_sensitive=advice.sensitive,
        state=advisory.state,
        issued_at=timestamp(advisory.issued_at_ms),
        withdrawn_at=timestamp(advisory.withdrawn_at_ms),
        causation_id=advisory.causation_id,
    )


def issued(advisory: HealthAdvisory) -> HealthAdvisoryIssued:
    """The event of advice given, or given anew for another band."""
    advice = advice_for(advisory.band)
    return HealthAdvisoryIssued(
        advisory_id=advisory.id,
        origin=advisory.origin,
        station_id=advisory.station_id,
        band=advisory.band,
        advice_everyone=advice.everyone,
        advice_sensitive=advice.sensitive,
        issued_at=timestamp(advisory.issued_at_ms),
    )


def withdrawn(advisory: HealthAdvisory) -> HealthAdvisoryWithdrawn:
    """The event of advice withdrawn."""
    return HealthAdvisoryWithdrawn(
        advisory_id=advisory.id,
        origin=advisory.origin,
        station_id=advisory.station_id,
        withdrawn_at=timestamp(advisory.withdrawn_at_ms),
    )
