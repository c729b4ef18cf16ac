"""Which events leave, and which are let in."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from lienthong.environment.v1 import BAND_BAD, AirQualityAlertLifted, AirQualityAlertRaised
from lienthong.exchange.v1 import Agreement
from mesh.errors import UndecodableEvent
from mesh.events import Catalogue, Event, partition_of
from services.exchange.admission import Crossing, leaves, reason_to_quarantine
from services.exchange.agreement import State, valid_from, valid_until
from tests.unit.exchange.conftest import LIFTED, NOW, RAISED

MakeAgreement = Callable[..., Agreement]
STATION = "48-hai-chau"
CROSSING = Crossing("da-nang", "hue", "dn-hue-air-1", "environment", "air_quality_alert", str(partition_of(STATION)))
ALERT = Event(
    id="01937b1e-0000-7000-8000-000000000001",
    source="/da-nang/environment",
    type=RAISED,
    time=NOW,
    key=STATION,
    data=AirQualityAlertRaised(station_id=STATION, band=BAND_BAD, index=163).SerializeToString(),
    origin_sequence=7,
)


@pytest.fixture
def active(agreement: MakeAgreement) -> Agreement:
    return agreement(state=State.ACTIVE.number)


@pytest.fixture
def refusal(contracts: Catalogue) -> Callable[..., str | None]:
    def judge(
        kept: Agreement | None,
        event: Event = ALERT,
        crossing: Crossing = CROSSING,
        here: str = "hue",
        shared_at: datetime = NOW,
    ) -> str | None:
        return reason_to_quarantine(kept, crossing, event, contracts.get(event.type), here, shared_at)

    return judge


def test_an_agreed_event_leaves(active: Agreement):
    assert leaves(active, ALERT, "da-nang", NOW)


@pytest.mark.parametrize("state", [state for state in State if state is not State.ACTIVE])
def test_nothing_leaves_unless_the_agreement_is_active(agreement: MakeAgreement, state: State):
    assert not leaves(agreement(state=state.number), ALERT, "da-nang", NOW)


def test_what_came_from_elsewhere_never_leaves_again(active: Agreement):
    assert not leaves(active, replace(ALERT, source="/quang-nam/environment"), "da-nang", NOW)


def test_the_recipient_of_an_agreement_shares_nothing_under_it(active: Agreement):
    assert not leaves(active, replace(ALERT, source="/hue/environment"), "hue", NOW)


def test_an_event_type_that_was_not_agreed_stays(active: Agreement):
    assert not leaves(active, replace(ALERT, type="lienthong.environment.v1.AirQualityHourRecorded"), "da-nang", NOW)


def test_only_what_is_committed_within_the_validity_leaves(active: Agreement):
    instant = timedelta(microseconds=1)

    assert leaves(active, replace(ALERT, time=valid_from(active)), "da-nang", NOW)
    assert leaves(active, replace(ALERT, time=valid_until(active) - instant), "da-nang", NOW)
    assert not leaves(active, replace(ALERT, time=valid_from(active) - instant), "da-nang", NOW)
    assert not leaves(active, replace(ALERT, time=valid_until(active)), "da-nang", NOW)


def test_what_is_handled_after_the_end_stays(active: Agreement):
    assert not leaves(active, ALERT, "da-nang", valid_until(active))


def test_what_was_committed_before_the_start_stays(active: Agreement):
    active.start.FromDatetime(NOW)

    assert leaves(active, ALERT, "da-nang", NOW)
    assert not leaves(active, replace(ALERT, time=NOW - timedelta(seconds=1)), "da-nang", NOW)


def test_an_agreed_event_is_admitted(active: Agreement, refusal):
    assert refusal(active) is None


def test_without_an_agreement_nothing_is_admitted(refusal):
    assert refusal(None) == "agreement dn-hue-air-1 is not known here"


@pytest.mark.parametrize("state", [State.PROPOSED, State.SUSPENDED, State.REVOKED])
def test_an_agreement_that_carries_nothing_admits_nothing(agreement: MakeAgreement, refusal, state: State):
    assert refusal(agreement(state=state.number)) == f"agreement dn-hue-air-1 is {state}"


def test_what_was_under_way_when_the_agreement_expired_is_admitted(agreement: MakeAgreement, refusal):
    assert refusal(agreement(state=State.EXPIRED.number)) is None


def test_what_was_shared_after_the_end_is_not(active: Agreement, refusal):
    """The provider's share log says when it was shared; when the event was born does not matter."""
    assert refusal(active, shared_at=valid_until(active)) == (
        "was committed outside the validity of agreement dn-hue-air-1"
    )


def test_an_event_no_contract_here_has_is_not_admitted(active: Agreement, refusal):
    unknown = replace(ALERT, type="lienthong.environment.v2.AirQualityAlertRaised")

    assert refusal(active, unknown) == "no contract here has an event lienthong.environment.v2.AirQualityAlertRaised"


def test_another_locality_cannot_use_the_agreement(active: Agreement, refusal):
    stranger = replace(CROSSING, provider="ha-noi")

    assert refusal(active, crossing=stranger) == ("came from ha-noi; the provider of agreement dn-hue-air-1 is da-nang")


def test_headers_do_not_make_an_agreement(active: Agreement, refusal):
    """The subject says ha-noi, the message claims da-nang."""
    claiming = replace(ALERT, agreement="dn-hue-air-1")

    assert refusal(None, claiming, replace(CROSSING, provider="ha-noi", agreement="none")) is not None


def test_an_event_meant_for_another_locality_is_not_admitted(active: Agreement, refusal):
    assert "the recipient of agreement dn-hue-air-1 is hue" in refusal(active, here="da-nang")
    assert "was sent to ha-noi" in refusal(active, crossing=replace(CROSSING, recipient="ha-noi"))


def test_a_provider_speaks_for_itself_only(active: Agreement, refusal):
    assert refusal(active, replace(ALERT, source="/ha-noi/environment")) == (
        "was born in ha-noi, not in da-nang, which sent it"
    )


@pytest.mark.parametrize("token", [{"sector": "health"}, {"topic": "air_quality_hour"}, {"partition": "x"}])
def test_an_event_lies_on_its_own_subject(active: Agreement, refusal, token: dict[str, str]):
    assert refusal(active, crossing=replace(CROSSING, **token)) == "lies on a subject that is not its own"


def test_an_event_without_a_number_of_its_birth_is_not_admitted(active: Agreement, refusal):
    """By that number one that is shared again is recognised."""
    assert refusal(active, replace(ALERT, origin_sequence=0)) == "has no number from where it was born"


def test_an_event_type_that_was_not_agreed_is_not_admitted(agreement: MakeAgreement, refusal):
    only_raised = agreement(state=State.ACTIVE.number)
    del only_raised.events[1]
    lifted = replace(ALERT, type=LIFTED, data=AirQualityAlertLifted(station_id=STATION).SerializeToString())

    assert refusal(only_raised, lifted) == f"agreement dn-hue-air-1 does not share {LIFTED}"


def test_an_event_that_carries_what_is_withheld_is_not_admitted(active: Agreement, refusal):
    leaking = replace(ALERT, data=ALERT.data + AirQualityAlertRaised(station_name="Hải Châu").SerializeToString())

    assert refusal(active, leaking) == "carries what agreement dn-hue-air-1 withholds: station_name"


def test_what_cannot_be_decoded_is_no_matter_of_agreements(active: Agreement, refusal):
    with pytest.raises(UndecodableEvent):
        refusal(active, replace(ALERT, data=b"\xff\xff"))


def test_a_crossing_is_read_from_the_subject():
    subject = "shared.da-nang.hue.dn-hue-air-1.environment.air_quality_alert.3"

    assert Crossing.of(subject) == replace(CROSSING, partition="3")
    assert Crossing.of(subject).subject == subject


@pytest.mark.parametrize("subject", ["", "events.da-nang.environment.air_quality_alert.3", "shared.da-nang.hue.x.3"])
def test_any_other_subject_is_refused(subject: str):
    with pytest.raises(UndecodableEvent):
        Crossing.of(subject)
