"""Advice follows alerts, whatever order they come in."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from lienthong.environment.v1 import BAND_BAD, BAND_POOR
from lienthong.health.v1 import (
    ADVISORY_STATE_ISSUED,
    ADVISORY_STATE_WITHDRAWN,
    HealthAdvisoryIssued,
    HealthAdvisoryWithdrawn,
    ListAdvisoriesRequest,
)
from mesh.errors import NotFound
from services.health.advice import advice_for
from tests.unit.health.locality import NOW, STATION, Locality, new_locality


@pytest.fixture
def hue() -> Locality:
    return new_locality()


def test_an_alert_of_another_locality_becomes_advice_here(hue: Locality):
    hue.raised(1)

    advisory = hue.advisory()
    assert (advisory.origin, advisory.station_id, advisory.band) == ("da-nang", STATION, BAND_POOR)
    assert advisory.state == ADVISORY_STATE_ISSUED
    assert advisory.issued_at.ToDatetime(UTC) == NOW
    assert advisory.causation_id == "raised-1"
    assert not advisory.HasField("withdrawn_at")


def test_advice_tells_everyone_and_the_sensitive_what_the_band_means(hue: Locality):
    hue.raised(1, BAND_BAD)

    (said,) = hue.emitted.of(HealthAdvisoryIssued)
    assert said.advisory_id == hue.advisory().id
    assert said.advice_everyone == advice_for(BAND_BAD).everyone
    assert "khẩu trang" in said.advice_sensitive


def test_a_lifted_alert_withdraws_the_advice(hue: Locality):
    hue.raised(1)
    hue.clock.advance(timedelta(hours=2))

    hue.lifted(2)

    advisory = hue.advisory()
    assert advisory.state == ADVISORY_STATE_WITHDRAWN
    assert advisory.withdrawn_at.ToDatetime(UTC) == NOW + timedelta(hours=2)
    assert hue.kinds() == [HealthAdvisoryIssued, HealthAdvisoryWithdrawn]


def test_a_higher_band_issues_it_anew(hue: Locality):
    hue.raised(1, BAND_POOR)
    hue.raised(2, BAND_BAD)

    assert [said.band for said in hue.emitted.of(HealthAdvisoryIssued)] == [BAND_POOR, BAND_BAD]


def test_the_same_band_again_says_nothing_new(hue: Locality):
    hue.raised(1)
    hue.raised(2)

    assert hue.kinds() == [HealthAdvisoryIssued]
    assert hue.advisory().causation_id == "raised-2"


def test_a_new_alert_issues_withdrawn_advice_again(hue: Locality):
    hue.raised(1)
    hue.lifted(2)
    hue.raised(3)

    assert hue.advisory().state == ADVISORY_STATE_ISSUED
    assert not hue.advisory().HasField("withdrawn_at")
    assert hue.kinds() == [HealthAdvisoryIssued, HealthAdvisoryWithdrawn, HealthAdvisoryIssued]


def test_an_alert_that_comes_after_its_own_end_does_nothing(hue: Locality):
    """Raised and Lifted are two subscriptions, with no order between them."""
    hue.lifted(2)
    hue.raised(1)

    assert hue.advisory().state == ADVISORY_STATE_WITHDRAWN
    assert hue.kinds() == []


def test_an_end_that_comes_after_the_next_beginning_does_nothing(hue: Locality):
    hue.raised(1)
    hue.raised(3)
    hue.lifted(2)

    assert hue.advisory().state == ADVISORY_STATE_ISSUED


def test_the_same_event_twice_does_nothing_the_second_time(hue: Locality):
    hue.raised(1)
    hue.lifted(2)
    hue.lifted(2)
    hue.raised(1)

    assert hue.kinds() == [HealthAdvisoryIssued, HealthAdvisoryWithdrawn]


def test_stations_of_the_same_name_in_two_localities_are_two(hue: Locality):
    hue.raised(1, origin="da-nang")
    hue.raised(1, origin="hue")
    hue.lifted(2, origin="hue")

    assert hue.advisory("da-nang").state == ADVISORY_STATE_ISSUED
    assert hue.advisory("hue").state == ADVISORY_STATE_WITHDRAWN


def test_an_advisory_there_never_was_is_not_found(hue: Locality):
    with pytest.raises(NotFound):
        hue.advisory()


def test_advisories_are_listed_by_page_state_and_origin(hue: Locality):
    for i in range(5):
        hue.raised(1, station=f"s{i}")
    hue.raised(1, origin="hue")
    hue.lifted(2, origin="hue")

    first = hue.service.list_advisories(ListAdvisoriesRequest(page_size=4))
    second = hue.service.list_advisories(ListAdvisoriesRequest(page_size=4, page_token=first.next_page_token))
    withdrawn = hue.service.list_advisories(ListAdvisoriesRequest(state=ADVISORY_STATE_WITHDRAWN))
    ours = hue.service.list_advisories(ListAdvisoriesRequest(origin="da-nang"))

    listed = [advisory.id for advisory in (*first.advisories, *second.advisories)]
    assert listed == sorted(set(listed))
    assert len(listed) == 6
    assert second.next_page_token == ""
    assert [advisory.origin for advisory in withdrawn.advisories] == ["hue"]
    assert len(ours.advisories) == 5


def test_a_band_of_a_later_contract_gets_general_advice():
    assert advice_for(7) == advice_for(0)
    assert advice_for(0).everyone
