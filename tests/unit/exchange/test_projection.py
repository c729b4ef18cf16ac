"""What of an event crosses the border."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lienthong.environment.v1 import BAND_BAD, BAND_POOR, AirQualityAlertRaised, Location
from mesh.errors import UndecodableEvent
from mesh.events import Catalogue, EventType
from services.exchange.projection import ALL_FIELDS, Projection
from tests.unit.exchange.conftest import RAISED

AGREED = ("station_id", "band", "index", "raised_at", "location")
ALERT = AirQualityAlertRaised(
    station_id="48-hai-chau",
    station_name="Hải Châu",
    band=BAND_BAD,
    index=163,
    previous_band=BAND_POOR,
    location=Location(latitude=16.07, longitude=108.22),
)


@pytest.fixture
def raised(contracts: Catalogue) -> EventType:
    return contracts[RAISED]


def test_only_agreed_fields_cross(raised: EventType):
    crossed = AirQualityAlertRaised.FromString(Projection(raised, AGREED).apply(ALERT.SerializeToString()))

    assert [field.name for field, _ in crossed.ListFields()] == ["station_id", "band", "index", "location"]
    assert crossed.location == ALERT.location


def test_what_is_left_out_is_named_whether_it_was_set_or_not(raised: EventType):
    assert Projection(raised, AGREED).withheld == ("station_name", "pollutant", "previous_band", "alert_index")


def test_under_all_fields_an_event_crosses_whole(raised: EventType):
    everything = Projection(raised, (ALL_FIELDS,))

    assert AirQualityAlertRaised.FromString(everything.apply(ALERT.SerializeToString())) == ALERT
    assert everything.withheld == ()


def test_personal_fields_never_cross_at_any_depth(case: EventType):
    assert Projection(case, (ALL_FIELDS,)).withheld == ("phone", "patient", "contacts")
    assert Projection(case, ("case_id", "phone", "patient")).kept == ("case_id",)


def test_a_field_of_a_newer_contract_never_crosses(raised: EventType):
    newer = ALERT.SerializeToString() + b"\xfa\x07\x06secret"

    assert b"secret" not in Projection(raised, (ALL_FIELDS,)).apply(newer)
    assert Projection(raised, AGREED).excess(newer) == ("station_name", "previous_band", "#127")


def test_what_was_projected_has_no_excess(raised: EventType):
    agreed = Projection(raised, AGREED)

    assert agreed.excess(agreed.apply(ALERT.SerializeToString())) == ()


def test_under_all_fields_a_newer_contract_of_the_provider_is_no_excess(raised: EventType):
    assert Projection(raised, (ALL_FIELDS,)).excess(ALERT.SerializeToString() + b"\xf8\x07\x01") == ()


def test_what_is_no_event_is_refused(raised: EventType):
    with pytest.raises(UndecodableEvent, match=r"the payload is no lienthong\.environment"):
        Projection(raised, AGREED).apply(b"\xff\xff")


people = st.fixed_dictionaries({}, optional={"name": st.text(max_size=5), "age_group": st.text(max_size=5)})
cases = st.fixed_dictionaries(
    {},
    optional={
        "case_id": st.text(max_size=5),
        "count": st.integers(-5, 5),
        "phone": st.text(max_size=5),
        "patient": people,
        "contacts": st.lists(people, max_size=2),
        "wards": st.lists(st.text(max_size=5), max_size=2),
    },
)
agreed_fields = st.one_of(
    st.just((ALL_FIELDS,)),
    st.lists(st.sampled_from(["case_id", "count", "phone", "patient", "contacts", "wards", "other", ALL_FIELDS])).map(
        tuple
    ),
)
unknown_fields = st.sampled_from([b"", b"\xf8\x07\x01", b"\xfa\x07\x03abc"])


@given(values=cases, fields=agreed_fields, unknown=unknown_fields)
def test_nothing_outside_the_agreement_ever_crosses(
    case: EventType, values: dict[str, Any], fields: tuple[str, ...], unknown: bytes
):
    message = case.cls(**values)
    agreed = Projection(case, fields)

    crossed = case.cls.FromString(agreed.apply(message.SerializeToString() + unknown))

    names = {field.name for field, _ in crossed.ListFields()}
    allowed = {"case_id", "count", "wards"} & (set(case.fields) if fields == (ALL_FIELDS,) else set(fields))
    assert names == allowed & {field.name for field, _ in message.ListFields()}
    assert all(getattr(crossed, name) == getattr(message, name) for name in names)
    assert crossed.ByteSize() == sum(case.cls(**{name: values[name]}).ByteSize() for name in names)
    assert set(agreed.kept) | set(agreed.withheld) == set(case.fields)
    assert agreed.excess(crossed.SerializeToString()) == ()
