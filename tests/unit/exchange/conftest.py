"""A contract with personal fields, and agreements to try."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from lienthong.environment.v1 import AirQualityAlertLifted, AirQualityAlertRaised
from lienthong.exchange.v1 import Agreement, SharedEvent
from lienthong.mesh.v1 import SENSITIVITY_PERSONAL, SENSITIVITY_RESTRICTED, event, rules, sensitivity
from mesh.events import Catalogue, EventType

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
RAISED = "lienthong.environment.v1.AirQualityAlertRaised"
LIFTED = "lienthong.environment.v1.AirQualityAlertLifted"
CASE = "lienthong.tests.v1.CaseReported"
BIRTH = "lienthong.tests.v1.BirthRegistered"
SECRET = "lienthong.tests.v1.CaseTraced"

_F = descriptor_pb2.FieldDescriptorProto


def _contract() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="lienthong/tests/v1/cases.proto", package="lienthong.tests.v1")
    file.syntax = "proto3"
    file.dependency.append("lienthong/mesh/v1/annotations.proto")

    person = file.message_type.add(name="Person")
    _personal(person.field.add(name="name", number=1, type=_F.TYPE_STRING, label=_F.LABEL_OPTIONAL))
    person.field.add(name="age_group", number=2, type=_F.TYPE_STRING, label=_F.LABEL_OPTIONAL)

    case = _event(file, "CaseReported", SENSITIVITY_RESTRICTED)
    case.field.add(name="count", number=2, type=_F.TYPE_INT32, label=_F.LABEL_OPTIONAL)
    _personal(case.field.add(name="phone", number=3, type=_F.TYPE_STRING, label=_F.LABEL_OPTIONAL))
    for name, number, label in (("patient", 4, _F.LABEL_OPTIONAL), ("contacts", 5, _F.LABEL_REPEATED)):
        case.field.add(
            name=name, number=number, type=_F.TYPE_MESSAGE, type_name=".lienthong.tests.v1.Person", label=label
        )
    case.field.add(name="wards", number=6, type=_F.TYPE_STRING, label=_F.LABEL_REPEATED)

    _event(file, "BirthRegistered", SENSITIVITY_PERSONAL)
    traced = _event(file, "CaseTraced", SENSITIVITY_RESTRICTED)
    phone = traced.field.add(name="phone", number=2, type=_F.TYPE_STRING, label=_F.LABEL_OPTIONAL)
    _personal(phone)
    phone.options.Extensions[rules].required = True
    return file


def _event(file: descriptor_pb2.FileDescriptorProto, name: str, how: int) -> descriptor_pb2.DescriptorProto:
    message = file.message_type.add(name=name)
    options = message.options.Extensions[event]
    options.topic, options.key_field, options.sensitivity = "case", "case_id", how
    message.field.add(name="case_id", number=1, type=_F.TYPE_STRING, label=_F.LABEL_OPTIONAL)
    return message


def _personal(field: descriptor_pb2.FieldDescriptorProto) -> None:
    field.options.Extensions[sensitivity] = SENSITIVITY_PERSONAL


@pytest.fixture(scope="session")
def contracts() -> Catalogue:
    """The real air-quality alerts, and three invented events about people."""
    pool = descriptor_pool.Default()
    file = pool.AddSerializedFile(_contract().SerializeToString()) or pool.FindFileByName(
        "lienthong/tests/v1/cases.proto"
    )
    known = Catalogue()
    for cls in (AirQualityAlertRaised, AirQualityAlertLifted):
        known.add(cls)
    for descriptor in file.message_types_by_name.values():
        if descriptor.name != "Person":
            known.add(message_factory.GetMessageClass(descriptor))
    return known


@pytest.fixture(scope="session")
def case(contracts: Catalogue) -> EventType:
    """`CaseReported`: a phone number, a patient and contacts are personal; id, count and wards are not."""
    return contracts[CASE]


@pytest.fixture
def agreement() -> Callable[..., Agreement]:
    """Makes an agreement da-nang → hue about air alerts, valid all of 2026; keywords replace fields."""

    def make(**fields: object) -> Agreement:
        made = Agreement(
            id="dn-hue-air-1",
            provider="da-nang",
            recipient="hue",
            purpose="public-health warning",
            legal_basis="decree-278-2025/art-7",
            events=[
                SharedEvent(type=RAISED, fields=["station_id", "band", "index", "raised_at", "location"]),
                SharedEvent(type=LIFTED, fields=["*"]),
            ],
        )
        made.valid_from.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
        made.valid_until.FromDatetime(datetime(2027, 1, 1, tzinfo=UTC))
        for name in fields:
            made.ClearField(name)
        made.MergeFrom(Agreement(**fields))
        return made

    return make
