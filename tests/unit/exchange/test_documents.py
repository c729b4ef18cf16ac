"""What the exchange stores reads back as it was."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from lienthong.environment.v1 import AirQualityAlertRaised
from lienthong.exchange.v1 import Agreement
from mesh.events import Event
from mesh.store import from_raw, to_raw
from services.exchange import lifecycle
from services.exchange.admission import Crossing
from services.exchange.documents import AgreementDocument, Quarantined
from tests.unit.exchange.conftest import NOW, RAISED

EVENT = Event(
    id="01937b1e-0000-7000-8000-000000000001",
    source="/da-nang/environment",
    type=RAISED,
    time=NOW,
    key="48-hai-chau",
    data=AirQualityAlertRaised(station_id="48-hai-chau", station_name="Hải Châu").SerializeToString(),
)
CROSSING = Crossing("da-nang", "hue", "dn-hue-air-9", "environment", "air_quality_alert", "0")


def test_an_agreement_reads_back_as_it_was(agreement: Callable[..., Agreement]):
    active = lifecycle.apply(agreement(), None, {}, NOW).agreement
    active.start.FromNanoseconds(1_793_466_000_123_456_789)

    stored = from_raw(AgreementDocument, to_raw(AgreementDocument.of(active)))

    assert stored.agreement().start == active.start
    assert lifecycle.apply(active, stored.agreement(), {}, NOW).moved is False
    assert stored.agreement(carried=12).carried == 12


def test_each_activation_is_counted_and_dated(agreement: Callable[..., Agreement]):
    later = NOW + timedelta(days=1)
    applied = AgreementDocument.of(lifecycle.apply(agreement(), None, {}, NOW).agreement)

    suspended = AgreementDocument.of(lifecycle.suspend(applied.agreement(), later).agreement, applied)
    resumed = AgreementDocument.of(lifecycle.resume(suspended.agreement(), {}, later).agreement, suspended)

    assert (applied.activation, applied.activated_at) == (1, NOW)
    assert (suspended.activation, suspended.activated_at) == (1, NOW)
    assert (resumed.activation, resumed.activated_at) == (2, later)


def test_a_quarantined_event_is_kept_whole_and_shown_without_its_data():
    reason = "agreement dn-hue-air-9 is not known here"
    kept = Quarantined.of(CROSSING, EVENT, reason, NOW, timedelta(days=90))

    stored = from_raw(Quarantined, to_raw(kept))

    assert bytes(stored.data) == EVENT.data
    assert stored.headers["ce-type"] == RAISED
    assert stored.expire_at == NOW + timedelta(days=90)
    assert (stored.event().reason, stored.event().type, stored.event().provider) == (reason, RAISED, "da-nang")
    assert "Hải Châu" not in str(stored.event())


def test_the_same_event_is_quarantined_once():
    again = Quarantined.of(CROSSING, replace(EVENT, traceparent="00-x"), "", NOW + timedelta(hours=1), timedelta(1))

    assert again.id == Quarantined.of(CROSSING, EVENT, "", NOW, timedelta(1)).id
