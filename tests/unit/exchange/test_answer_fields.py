"""What of an answer crosses."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from lienthong.environment.v1 import (
    BAND_BAD,
    Concentrations,
    GetStationResponse,
    HourlyAirQuality,
    ListHourlyAirQualityResponse,
    Location,
    Station,
)
from lienthong.mesh.v1 import SENSITIVITY_PERSONAL, sensitivity
from mesh.events import Catalogue
from services.exchange.answer_fields import answer_projection

_F = descriptor_pb2.FieldDescriptorProto
HOUR_FIELDS = [field.name for field in HourlyAirQuality.DESCRIPTOR.fields]


def hours() -> ListHourlyAirQualityResponse:
    hour = HourlyAirQuality(
        station_id="st-1", revision=2, means=Concentrations(pm25_ug_m3=80), index=163, band=BAND_BAD, readings_used=4
    )
    return ListHourlyAirQualityResponse(hours=[hour, hour], next_page_token="next")


def crossed(answer: Any, *fields: str) -> Any:
    answer_projection(type(answer), fields).apply(answer)
    return answer


def test_a_path_goes_into_the_rows_of_a_list() -> None:
    there = crossed(hours(), "hours.station_id", "hours.index")

    assert list(there.hours) == 2 * [HourlyAirQuality(station_id="st-1", index=163)]
    assert "hours.means" in there.withheld
    assert "hours.index" not in there.withheld


def test_a_path_goes_into_a_message_within_a_row() -> None:
    there = crossed(hours(), "hours.means.pm25_ug_m3")

    assert list(there.hours) == 2 * [HourlyAirQuality(means=Concentrations(pm25_ug_m3=80))]
    assert "hours.means.pm10_ug_m3" in there.withheld


def test_a_message_that_is_not_there_stays_away() -> None:
    there = crossed(GetStationResponse(), "station.id")

    assert not there.HasField("station")


def test_a_whole_field_takes_all_within_it() -> None:
    station = Station(id="st-1", name="Hải Châu", location=Location(latitude=16.06, longitude=108.22))

    assert crossed(GetStationResponse(station=station), "station") == GetStationResponse(station=station)


def test_a_star_takes_all_and_withholds_nothing() -> None:
    assert crossed(hours(), "*") == hours()


def test_a_page_token_crosses_in_any_case() -> None:
    """How to go on is no data, and without it a list ends early."""
    assert crossed(hours(), "hours.index").next_page_token == "next"


def test_what_was_withheld_before_stays_named() -> None:
    """The recipient reduces the answer once more, by its own copy."""
    answer = hours()
    answer.withheld.append("hours.means")

    assert list(crossed(answer, "*").withheld) == ["hours.means"]


def test_a_field_of_a_newer_contract_does_not_cross() -> None:
    newer = hours().SerializeToString() + b"\xba\x3e\x03new"  # field 999, a text

    there = crossed(ListHourlyAirQualityResponse.FromString(newer), "*")

    assert there.SerializeToString() == hours().SerializeToString()


@given(st.sets(st.sampled_from(HOUR_FIELDS), min_size=1))
def test_each_field_crosses_or_is_named_as_withheld_and_never_both(names: set[str]) -> None:
    there = crossed(hours(), *(f"hours.{name}" for name in sorted(names)))

    withheld = {path.partition(".")[2] for path in there.withheld}
    assert withheld == set(HOUR_FIELDS) - names
    for row in there.hours:
        assert {field.name for field, _ in row.ListFields()} <= names


@pytest.fixture(scope="module")
def answer(contracts: Catalogue) -> type[Any]:
    """A response with persons of the tests' own contract."""
    file = descriptor_pb2.FileDescriptorProto(name="lienthong/tests/v1/people.proto", package="lienthong.tests.v1")
    file.syntax = "proto3"
    file.dependency.extend(["lienthong/tests/v1/cases.proto", "lienthong/mesh/v1/annotations.proto"])
    message = file.message_type.add(name="ListPeopleResponse")
    person = {"type": _F.TYPE_MESSAGE, "type_name": ".lienthong.tests.v1.Person"}
    message.field.add(name="people", number=1, label=_F.LABEL_REPEATED, **person)
    message.field.add(name="note", number=2, type=_F.TYPE_STRING, label=_F.LABEL_OPTIONAL)
    message.field.add(name="withheld", number=3, type=_F.TYPE_STRING, label=_F.LABEL_REPEATED)
    sealed = message.field.add(name="sealed", number=4, label=_F.LABEL_OPTIONAL, **person)
    sealed.options.Extensions[sensitivity] = SENSITIVITY_PERSONAL
    pool = descriptor_pool.Default()
    added = pool.AddSerializedFile(file.SerializeToString()) or pool.FindFileByName(file.name)
    return message_factory.GetMessageClass(added.message_types_by_name["ListPeopleResponse"])


class TestPersonalFields:
    """`people` holds persons, whose name is personal and whose age group is not; `note` is not."""

    def filled(self, answer: type[Any]) -> Any:
        person = {"name": "Nguyễn Văn A", "age_group": "40-49"}
        return answer(people=[person], note="one", sealed=person)

    def test_a_star_withholds_whatever_holds_one(self, answer: type[Any]) -> None:
        there = crossed(self.filled(answer), "*")

        assert there == answer(note="one", withheld=["people", "sealed"])

    def test_a_path_beside_one_crosses(self, answer: type[Any]) -> None:
        there = crossed(self.filled(answer), "people.age_group")

        assert [person.age_group for person in there.people] == ["40-49"]
        assert [person.name for person in there.people] == [""]
        assert "people.name" in there.withheld

    @pytest.mark.parametrize("path", ["people", "people.name", "sealed", "sealed.age_group"])
    def test_no_path_lets_one_out(self, answer: type[Any], path: str) -> None:
        """An agreement that names one is refused; should it be kept all the same, nothing crosses."""
        there = crossed(self.filled(answer), path)

        assert "Nguyễn" not in str(there)
        assert not there.HasField("sealed")
