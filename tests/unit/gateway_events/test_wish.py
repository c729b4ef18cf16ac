"""Who may have which events, and what they are shown of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.events.projection import Projection
from gateway.events.wish import read_scope, wish_of
from lienthong.gateway.v1 import CloudEvent, SubscribeRequest, SubscribeResponse
from mesh.auth import Caller
from mesh.errors import InvalidArgument, PermissionDenied
from mesh.events import Catalogue, Event, EventType
from tests.contracts import compile_contract

CONTRACT = """
message Person { string name = 1 [(sensitivity) = SENSITIVITY_PERSONAL]; string role = 2; }
message Place { double latitude = 1; double longitude = 2; }
message Reported {
  option (event) = { topic: "report" key_field: "report_id" sensitivity: SENSITIVITY_RESTRICTED };
  string report_id = 1;
  string text = 2 [(sensitivity) = SENSITIVITY_PERSONAL];
  Person reporter = 3;
  Place place = 4;
  int32 count = 5;
}
message Treated {
  option (event) = { topic: "treatment" key_field: "case_id" sensitivity: SENSITIVITY_PERSONAL };
  string case_id = 1;
}
"""


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    folder: Path = tmp_path_factory.mktemp("contract")
    catalogue = Catalogue()
    for name, cls in compile_contract(CONTRACT, folder, package="lienthong.police.v1").items():
        if name in ("Reported", "Treated"):
            catalogue.add(cls)
    return catalogue


@pytest.fixture
def reported(catalogue: Catalogue) -> EventType:
    return catalogue["lienthong.police.v1.Reported"]


def caller(*scopes: str) -> Caller:
    return Caller("someone", "da-nang", frozenset(scopes))


def event(kind: EventType) -> Event:
    message = kind.cls(report_id="r1", text="secret", count=3)
    message.reporter.name, message.reporter.role = "An", "neighbour"
    message.place.latitude, message.place.longitude = 16.1, 108.2
    return Event(
        id="1",
        source="/da-nang/police",
        type=kind.name,
        time=datetime(2026, 11, 2, tzinfo=UTC),
        key="r1",
        data=message.SerializeToString(),
    )


def shown(kind: EventType, projection: Projection, of: Event | None = None) -> tuple[CloudEvent, dict[str, object]]:
    """The CloudEvent, and the fields of its data that are set."""
    delivered = SubscribeResponse.FromString(projection.shown(of or event(kind), kind)).event
    message = kind.cls.FromString(delivered.data.value)
    return delivered, {field.name: value for field, value in message.ListFields()}


def test_without_the_personal_scope_personal_fields_are_withheld_and_named(reported: EventType) -> None:
    delivered, fields = shown(reported, Projection(fields=None, personal=False))

    assert fields.keys() == {"report_id", "place", "count"}
    assert delivered.withheld == "reporter,text"


def test_with_it_nothing_is_withheld(reported: EventType) -> None:
    delivered, fields = shown(reported, Projection(fields=None, personal=True))

    assert fields.keys() == {"report_id", "text", "reporter", "place", "count"}
    assert not delivered.HasField("withheld")


def test_a_mask_leaves_the_fields_that_were_asked_for(reported: EventType) -> None:
    delivered, fields = shown(reported, Projection(fields=("count", "place.latitude"), personal=False))

    assert fields.keys() == {"place", "count"}
    assert (fields["place"].latitude, fields["place"].longitude) == (16.1, 0)
    assert not delivered.HasField("withheld")


def test_a_personal_field_that_was_asked_for_is_withheld_all_the_same(reported: EventType) -> None:
    delivered, fields = shown(reported, Projection(fields=("count", "reporter.name"), personal=False))

    assert fields.keys() == {"count"}
    assert delivered.withheld == "reporter"


def test_what_an_agreement_left_out_stays_listed(reported: EventType) -> None:
    shared = replace(event(reported), withheld=("place",), agreement="dn-hue-1")

    delivered, _ = shown(reported, Projection(fields=None, personal=False), shared)

    assert delivered.withheld == "place,reporter,text"
    assert delivered.agreement == "dn-hue-1"


def test_an_event_about_a_person_needs_the_personal_scope_to_be_read_at_all(catalogue: Catalogue) -> None:
    treated = catalogue["lienthong.police.v1.Treated"]
    request = SubscribeRequest(types=[treated.name])

    assert read_scope(treated) == "police.personal"
    with pytest.raises(PermissionDenied, match=treated.name):
        wish_of(request, caller("events.read", "police.read"), "da-nang", catalogue)
    assert wish_of(request, caller("police.personal"), "da-nang", catalogue).types == [treated.name]


def test_without_types_a_wish_is_about_those_that_may_be_read(catalogue: Catalogue, reported: EventType) -> None:
    assert wish_of(SubscribeRequest(), caller("police.read"), "da-nang", catalogue).types == [reported.name]
    with pytest.raises(PermissionDenied):
        wish_of(SubscribeRequest(), caller("events.read"), "da-nang", catalogue)


def test_origins_are_slugs_or_words_for_some(catalogue: Catalogue, reported: EventType) -> None:
    def origins(*names: str) -> frozenset[str]:
        return wish_of(SubscribeRequest(origins=names), caller("*"), "da-nang", catalogue).origins

    assert origins() == frozenset()
    assert origins("local", "hue") == {"da-nang", "hue"}
    assert "da-nang" not in origins("peers")
    assert len(origins("peers")) == 34
    with pytest.raises(InvalidArgument, match=r"origins\[1\]"):
        origins("hue", "atlantis")


def test_a_field_that_none_of_the_types_has_is_refused(catalogue: Catalogue, reported: EventType) -> None:
    request = SubscribeRequest(types=[reported.name], fields={"paths": ["count", "colour"]})

    with pytest.raises(InvalidArgument, match="fields"):
        wish_of(request, caller("*"), "da-nang", catalogue)


def test_an_unknown_type_is_refused_with_those_of_its_package(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidArgument, match=r"types\[0\].*police.v1.Reported"):
        wish_of(SubscribeRequest(types=["lienthong.police.v1.Rumoured"]), caller("*"), "da-nang", catalogue)
    with pytest.raises(InvalidArgument, match=r"lienthong\.police\.v1\.\*"):
        wish_of(SubscribeRequest(types=["Reported"]), caller("*"), "da-nang", catalogue)


def test_equal_requests_with_equal_rights_share_a_wish(catalogue: Catalogue) -> None:
    one = SubscribeRequest(keys=["b", "a"], fields={"paths": ["count", "report_id"]})
    other = SubscribeRequest(keys=["a", "b", "a"], fields={"paths": ["report_id", "count"]})

    wish = wish_of(one, caller("police.read"), "da-nang", catalogue)

    assert wish == wish_of(other, caller("police.read", "health.read"), "da-nang", catalogue)
    assert wish != wish_of(other, caller("police.read", "police.personal"), "da-nang", catalogue)
