"""What an agreement must satisfy before it may be applied."""

from collections.abc import Callable

import pytest

from lienthong.exchange.v1 import Agreement, SharedEvent
from mesh.errors import InvalidArgument
from mesh.events import Catalogue
from services.exchange.checks import check_agreement
from tests.unit.exchange.conftest import BIRTH, CASE, LIFTED, RAISED, SECRET

MakeAgreement = Callable[..., Agreement]


@pytest.fixture(autouse=True)
def known_contracts(contracts: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.exchange.checks.catalogue", lambda: contracts)


def complaints(agreement: Agreement, here: str = "da-nang") -> dict[str, str]:
    with pytest.raises(InvalidArgument) as refused:
        check_agreement(agreement, here)
    return {violation.field: violation.description for violation in refused.value.violations}


def test_both_parties_may_keep_an_agreement(agreement: MakeAgreement):
    check_agreement(agreement(), here="da-nang")
    check_agreement(agreement(), here="hue")


def test_a_locality_that_is_no_party_may_not(agreement: MakeAgreement):
    assert "neither provider nor recipient is ha-noi" in complaints(agreement(), here="ha-noi")["provider"]


def test_parties_are_localities_of_the_country(agreement: MakeAgreement):
    assert "thua-thien-hue is no locality" in complaints(agreement(recipient="thua-thien-hue"))["recipient"]


def test_the_national_hub_may_be_a_party(agreement: MakeAgreement):
    check_agreement(agreement(recipient="national"), here="da-nang")


def test_nobody_agrees_with_itself(agreement: MakeAgreement):
    assert complaints(agreement(recipient="da-nang"))["recipient"] == "must be another locality than the provider"


def test_validity_ends_after_it_begins(agreement: MakeAgreement):
    backwards = agreement()
    backwards.valid_until.CopyFrom(backwards.valid_from)

    assert complaints(backwards)["valid_until"] == "must be later than valid_from"


def test_start_lies_before_the_end(agreement: MakeAgreement):
    late = agreement()
    late.start.CopyFrom(late.valid_until)

    assert complaints(late)["start"] == "must be earlier than valid_until"


@pytest.mark.parametrize(
    ("event_type", "fields", "field", "complaint"),
    [
        ("lienthong.fire.v1.Fire", "*", "events[0].type", "no contract here has an event lienthong.fire.v1.Fire"),
        ("lienthong.environment.v1.Station", "*", "events[0].type", "no contract here has an event"),
        (LIFTED, "station_id lifted_at reason x", "events[0].fields[3]", "has no field x; it has station_id,"),
        (LIFTED, "station_id reason", "events[0].fields", "lifted_at is required and must not be left out"),
        (CASE, "count", "events[0].fields", "case_id is required and must not be left out"),
        (LIFTED, "* index", "events[0].fields[0]", "stands alone"),
        (CASE, "case_id phone", "events[0].fields[1]", "phone is PERSONAL; personal data cannot be shared yet"),
        (CASE, "case_id contacts", "events[0].fields[1]", "contacts is PERSONAL"),
        (BIRTH, "*", "events[0].type", "is PERSONAL; personal data cannot be shared yet"),
        (SECRET, "*", "events[0].fields", "is required and PERSONAL; personal data cannot be shared yet"),
    ],
)
def test_what_is_shared_must_exist_be_whole_and_not_personal(
    agreement: MakeAgreement, event_type: str, fields: str, field: str, complaint: str
):
    shared = SharedEvent(type=event_type, fields=fields.split())

    assert complaint in complaints(agreement(events=[shared]))[field]


def test_all_fields_means_all_that_are_not_personal(agreement: MakeAgreement):
    check_agreement(agreement(events=[SharedEvent(type=CASE, fields=["*"])]), here="hue")


def test_an_event_type_is_listed_once(agreement: MakeAgreement):
    twice = agreement(events=[SharedEvent(type=LIFTED, fields=["*"]), SharedEvent(type=LIFTED, fields=["*"])])

    assert complaints(twice)["events[1].type"] == f"{LIFTED} is listed twice"


def test_everything_wrong_is_told_at_once(agreement: MakeAgreement):
    wrong = agreement(
        provider="saigon", events=[SharedEvent(type="x", fields=["*"]), SharedEvent(type=RAISED, fields=["y"])]
    )

    assert set(complaints(wrong, here="hue")) == {
        "provider",
        "events[0].type",
        "events[1].fields[0]",
        "events[1].fields",
    }
