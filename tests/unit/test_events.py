"""The catalogue, and an event's way into headers and back."""

import dataclasses
import string
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_binary
from cloudevents.core.formats.base import Format
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from lienthong.environment.v1 import (
    BAND_POOR,
    AirQualityAlertLifted,
    AirQualityAlertRaised,
    GetStationRequest,
)
from lienthong.mesh.v1 import SENSITIVITY_PUBLIC
from mesh import events
from mesh.errors import ContractError, Internal, UndecodableEvent
from mesh.events import Catalogue, Event, catalogue, from_headers, new_event, partition_of, to_headers
from tests.contracts import compile_contract

NOW = datetime(2026, 5, 1, 7, 30, 0, 123456, tzinfo=UTC)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def alert(**fields: Any) -> AirQualityAlertRaised:
    raised = AirQualityAlertRaised(station_id="dn-01", station_name="Cầu Rồng", band=BAND_POOR, index=120)
    raised.raised_at.FromDatetime(NOW)
    raised.MergeFrom(AirQualityAlertRaised(**fields))
    return raised


def event(**fields: Any) -> Event:
    draft = new_event(alert(), source="/da-nang/environment", time=NOW, traceparent=TRACEPARENT)
    return dataclasses.replace(draft, sequence=7, origin_sequence=7, key_revision=7, **fields)


# The catalogue


def test_the_catalogue_holds_the_events_of_every_installed_contract() -> None:
    names = {event_type.name for event_type in catalogue()}

    assert names >= {"lienthong.environment.v1.AirQualityHourRecorded", "lienthong.health.v1.HealthAdvisoryIssued"}


def test_an_event_type_says_what_its_contract_says() -> None:
    raised = catalogue().of(AirQualityAlertRaised)

    assert raised.name == "lienthong.environment.v1.AirQualityAlertRaised"
    assert (raised.sector, raised.topic, raised.key_field) == ("environment", "air_quality_alert", "station_id")
    assert raised.sensitivity == SENSITIVITY_PUBLIC
    assert raised.required_fields == {"station_id", "band", "index", "raised_at"}
    assert raised.personal_fields == frozenset()
    assert raised.fields[:2] == ("station_id", "station_name")
    assert raised is catalogue()[raised.name]


def test_events_of_one_kind_of_thing_share_a_topic() -> None:
    assert catalogue().of(AirQualityAlertRaised).topic == catalogue().of(AirQualityAlertLifted).topic


def test_an_unknown_type_is_an_event_that_cannot_be_decoded() -> None:
    with pytest.raises(UndecodableEvent):
        catalogue()["lienthong.nowhere.v1.Nothing"]


def test_a_message_that_is_no_event_is_refused() -> None:
    with pytest.raises(ContractError, match="GetStationRequest: the message has no option"):
        catalogue().of(GetStationRequest)


def test_a_field_is_personal_when_anything_in_it_is(tmp_path: Path) -> None:
    """Sharing the whole of a message would share the person in it."""
    source = """
      message Person { string name = 1 [(sensitivity) = SENSITIVITY_PERSONAL]; Household household = 2; }
      message Household { repeated Person people = 1; string street = 2; }
      message Moved {
        option (event) = {topic: "move", key_field: "id", sensitivity: SENSITIVITY_PERSONAL};
        string id = 1; Household household = 2; string ward = 3;
        string phone = 4 [(sensitivity) = SENSITIVITY_PERSONAL];
      }"""

    moved = Catalogue().add(compile_contract(source, tmp_path)["Moved"])

    assert moved.personal_fields == {"household", "phone"}


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ('key_field: "id", sensitivity: SENSITIVITY_PUBLIC', "topic ''"),
        ('topic: "Air Quality", key_field: "id", sensitivity: SENSITIVITY_PUBLIC', "lower_snake_case"),
        ('topic: "air", key_field: "id"', "sensitivity is not set"),
        ('topic: "air", sensitivity: SENSITIVITY_PUBLIC', "key_field ''"),
        ('topic: "air", key_field: "count", sensitivity: SENSITIVITY_PUBLIC', "not a single string"),
        ('topic: "air", key_field: "ids", sensitivity: SENSITIVITY_PUBLIC', "not a single string"),
        ('topic: "air", key_field: "name", sensitivity: SENSITIVITY_PUBLIC', "is personal"),
    ],
)
def test_incomplete_options_stop_start_up(options: str, fault: str, tmp_path: Path) -> None:
    source = f"""message Wrong {{ option (event) = {{{options}}};
      string id = 1; int32 count = 2; repeated string ids = 3;
      string name = 4 [(sensitivity) = SENSITIVITY_PERSONAL]; }}"""

    with pytest.raises(ContractError, match=rf"event lienthong\.\w+\.v1\.Wrong: .*{fault}"):
        Catalogue().add(compile_contract(source, tmp_path)["Wrong"])


# A new event


def test_a_new_event_takes_its_key_and_type_from_the_contract() -> None:
    draft = new_event(alert(), source="/da-nang/environment", time=NOW, traceparent=TRACEPARENT)

    assert (draft.key, draft.topic, draft.origin, draft.sector) == (
        "dn-01",
        "air_quality_alert",
        "da-nang",
        "environment",
    )
    assert draft.line == f"da-nang/environment/air_quality_alert/{partition_of('dn-01')}"
    assert draft.correlation_id == draft.id
    assert draft.traceparent_birth == draft.traceparent == TRACEPARENT
    assert draft.message() == alert()


def test_an_event_that_follows_another_says_so() -> None:
    cause = event()

    effect = new_event(alert(), source="/hue/environment", time=NOW, causation=cause)

    assert effect.causation_id == cause.id
    assert effect.correlation_id == cause.correlation_id


def test_ids_sort_by_time() -> None:
    """They are UUIDv7: an index over them stays compact."""
    ids = [event().id for _ in range(50)]

    assert ids == sorted(ids)
    assert all(id[14] == "7" for id in ids)


@pytest.mark.parametrize("key", ["", "Cầu Rồng", "dn 01", "dn.01", "dn*", "x" * 65, "dn-01\n"])
def test_a_key_that_is_no_opaque_id_is_a_defect_of_the_handler(key: str) -> None:
    message = alert()
    message.station_id = key

    with pytest.raises(Internal, match="station_id: does not match"):
        new_event(message, source="/da-nang/environment", time=NOW)


def test_an_event_that_breaks_its_contract_is_a_defect_of_the_handler() -> None:
    """INVALID_ARGUMENT would blame the caller."""
    message = alert()
    message.ClearField("raised_at")

    with pytest.raises(Internal, match="AirQualityAlertRaised: raised_at: must be set"):
        new_event(message, source="/da-nang/environment", time=NOW)


# Headers


def test_headers_are_those_of_a_cloudevent() -> None:
    headers = to_headers(
        event(id="0190", correlation_id="0189", agreement="dn-hue-air-1", withheld=("index", "location"))
    )

    assert headers == {
        "ce-specversion": "1.0",
        "ce-id": "0190",
        "ce-source": "/da-nang/environment",
        "ce-type": "lienthong.environment.v1.AirQualityAlertRaised",
        "ce-time": "2026-05-01T07:30:00.123456Z",
        "ce-subject": "dn-01",
        "ce-dataschema": "urn:lienthong:schema:lienthong.environment.v1.AirQualityAlertRaised",
        "ce-datacontenttype": "application/protobuf",
        "ce-sequence": "7",
        "ce-originsequence": "7",
        "ce-keyrevision": "7",
        "ce-partitionkey": "dn-01",
        "ce-correlationid": "0189",
        "ce-withheld": "index,location",
        "ce-agreement": "dn-hue-air-1",
        "ce-traceparent": TRACEPARENT,
        "traceparent": TRACEPARENT,
    }


class _Bytes(Format):
    def read_data(self, body: bytes, datacontenttype: str | None, attributes: Any = None) -> bytes:
        return body

    def read(self, event_factory: Any, data: Any) -> Any:
        raise NotImplementedError

    def write(self, event: Any) -> bytes:
        raise NotImplementedError

    def write_data(self, data: Any, datacontenttype: str | None) -> bytes:
        raise NotImplementedError

    def get_content_type(self) -> str:
        raise NotImplementedError


def test_the_cloudevents_sdk_reads_our_headers() -> None:
    """It has no NATS binding; that of HTTP has the same rules but for the content type."""
    sent = event(correlation_id="câu chuyện 100%")
    headers = to_headers(sent)
    headers["content-type"] = headers.pop("ce-datacontenttype")

    read = from_binary(HTTPMessage(headers, sent.data), _Bytes(), CloudEvent)

    assert isinstance(read, CloudEvent)
    assert (read.get_id(), read.get_source(), read.get_type()) == (sent.id, sent.source, sent.type)
    assert (read.get_subject(), read.get_time()) == ("dn-01", NOW)
    assert read.get_dataschema() == "urn:lienthong:schema:" + sent.type
    assert read.get_extension("correlationid") == "câu chuyện 100%"
    assert read.get_extension("sequence") == "7"
    assert AirQualityAlertRaised.FromString(read.get_data()) == alert()


def test_attribute_names_are_lower_case_letters_and_digits() -> None:
    """CloudEvents allows no other, so that every transport can carry them."""
    headers = to_headers(event(agreement="a", withheld=("b",), causation_id="c", tracestate="d=e"))

    for name in headers.keys() - {"traceparent", "tracestate"}:
        assert set(name.removeprefix("ce-")) <= set(string.ascii_lowercase + string.digits)


names = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
slugs = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
counts = st.integers(0, 2**63 - 1)
any_event = st.builds(
    Event,
    id=texts.filter(bool),
    source=st.builds("/{}/{}".format, slugs, slugs),
    type=texts.filter(bool),
    time=st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=7))])),
    key=st.from_regex(events.KEY_PATTERN, fullmatch=True),
    data=st.binary(max_size=50),
    sequence=counts,
    origin_sequence=counts,
    key_revision=counts,
    causation_id=texts,
    correlation_id=texts,
    withheld=st.lists(names, max_size=4).map(tuple),
    traceparent_birth=st.sampled_from(["", TRACEPARENT]),
    traceparent=st.sampled_from(["", TRACEPARENT]),
    tracestate=st.sampled_from(["", "vendor=1"]),
    agreement=slugs,
)


@given(any_event)
def test_an_event_survives_the_way_through_headers(sent: Event) -> None:
    headers = to_headers(sent)

    assert from_headers(headers, sent.data) == sent
    assert all(value.isascii() and value.isprintable() and value == value.strip() for value in headers.values())


def test_headers_it_does_not_know_are_ignored() -> None:
    """A newer node may send more."""
    sent = event()

    assert from_headers({**to_headers(sent), "ce-loggedtime": "x", "Nats-Msg-Id": "1"}, sent.data) == sent


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("ce-specversion", "0.3"),
        ("ce-datacontenttype", "application/json"),
        ("ce-id", ""),
        ("ce-type", ""),
        ("ce-source", "da-nang/environment"),
        ("ce-source", "/đà-nẵng/environment"),
        ("ce-subject", "Nguyễn Văn A"),
        ("ce-partitionkey", "dn-02"),
        ("ce-time", "yesterday"),
        ("ce-time", "2026-05-01T07:30:00"),
        ("ce-sequence", "-1"),
        ("ce-sequence", "1_0"),
        ("ce-sequence", "١"),
        ("ce-originsequence", ""),
        ("ce-keyrevision", "9" * 20),
    ],
)
def test_a_bad_header_is_named_without_its_value(header: str, value: str) -> None:
    headers = to_headers(event()) | {header: value}

    with pytest.raises(UndecodableEvent, match=header) as refused:
        from_headers(headers, b"")

    assert not value or value not in refused.value.message


@pytest.mark.parametrize(
    "header", ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-subject", "ce-sequence"]
)
def test_a_missing_header_is_named(header: str) -> None:
    headers = to_headers(event())
    del headers[header]

    with pytest.raises(UndecodableEvent, match=header):
        from_headers(headers, b"")


@pytest.mark.parametrize("headers", [None, {}])
def test_a_message_without_headers_is_no_event(headers: dict[str, str] | None) -> None:
    with pytest.raises(UndecodableEvent, match="no headers"):
        from_headers(headers, b"")


def test_a_payload_of_something_else_is_told_when_it_is_read() -> None:
    sent = from_headers(to_headers(event()), b"\xff\xff\xff")

    with pytest.raises(UndecodableEvent, match="the payload is no lienthong"):
        sent.message()


def test_a_type_nobody_here_knows_is_told_when_it_is_read() -> None:
    sent = from_headers(to_headers(event(type="lienthong.nowhere.v1.Nothing")), b"")

    with pytest.raises(UndecodableEvent):
        sent.message()


# Lines, subjects, streams


def test_a_key_always_has_the_same_partition() -> None:
    """A subscriber in another language computes crc32 mod 8 too; CRC-32/ISO-HDLC of "123456789" is 0xCBF43926."""
    assert partition_of("123456789") == 0xCBF43926 % 8


def test_keys_spread_over_all_partitions() -> None:
    assert {partition_of(f"station-{n}") for n in range(100)} == set(range(events.PARTITIONS))


def test_names_on_the_bus() -> None:
    assert events.event_subject("da-nang", "environment", "air_quality_alert", 3) == (
        "events.da-nang.environment.air_quality_alert.3"
    )
    assert events.shared_subject("da-nang", "hue", "dn-hue-air-1", "environment", "air_quality_alert", "*") == (
        "shared.da-nang.hue.dn-hue-air-1.environment.air_quality_alert.*"
    )
    assert events.events_stream("da-nang", "health") == "EVENTS_DA_NANG_HEALTH"


def test_a_share_line_begins_with_its_agreement() -> None:
    shared = event(agreement="dn-hue-air-1")

    assert shared.share_line == f"dn-hue-air-1/environment/air_quality_alert/{shared.partition}"
