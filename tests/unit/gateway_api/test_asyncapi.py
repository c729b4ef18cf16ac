"""The AsyncAPI document."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from jsonschema import Draft7Validator, Draft202012Validator

from gateway.api.contracts import Contracts, installed
from gateway.api.examples import example
from lienthong.environment.v1 import LIFT_REASON_NO_DATA, AirQualityAlertLifted
from mesh.events import event_subject, new_event, to_headers

_SCHEMA = Path(__file__).parents[2] / "vendor" / "asyncapi-3.0.0.json"
_LIFTED = "lienthong.environment.v1.AirQualityAlertLifted"


def test_it_is_asyncapi_3_0(asyncapi_document: dict[str, Any]) -> None:
    """By the schema of those who wrote the standard."""
    validator = Draft7Validator(json.loads(_SCHEMA.read_text()))

    assert [error.message for error in validator.iter_errors(asyncapi_document)] == []


def test_the_schema_would_find_a_fault(asyncapi_document: dict[str, Any]) -> None:
    validator = Draft7Validator(json.loads(_SCHEMA.read_text()))
    wrong = asyncapi_document | {"operations": {"deliver": {"action": "publish"}}}

    assert not validator.is_valid(wrong)


def test_all_references_lead_somewhere(asyncapi_document: dict[str, Any]) -> None:
    """The official schema does not follow them."""

    def missing(node: Any) -> list[str]:
        if isinstance(node, list):
            return [name for child in node for name in missing(child)]
        if not isinstance(node, dict):
            return []
        if "$ref" in node:
            target: Any = asyncapi_document
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target.get(step) if isinstance(target, dict) else None
            return [] if target is not None else [node["$ref"]]
        return [name for child in node.values() for name in missing(child)]

    assert missing(asyncapi_document) == []


def test_every_type_of_event_is_delivered_and_published(
    contracts: Contracts, asyncapi_document: dict[str, Any]
) -> None:
    sent = {
        message["$ref"].rpartition("/")[2]
        for operation in asyncapi_document["operations"].values()
        for message in operation["messages"]
    }

    assert sent == {name for event in contracts.events() for name in (event.full_name, f"{event.full_name}.delivery")}


def test_a_topic_has_the_subjects_events_are_published_on(asyncapi_document: dict[str, Any]) -> None:
    address = asyncapi_document["channels"]["environment.air_quality_alert"]["address"]

    shown = address.replace("{origin}", "da-nang").replace("{partition}", "3")

    assert shown == event_subject("da-nang", "environment", "air_quality_alert", 3)


@pytest.fixture
def headers() -> dict[str, str]:
    lifted = Timestamp(seconds=1_793_000_000)
    message = AirQualityAlertLifted(station_id="cau-rong", lifted_at=lifted, reason=LIFT_REASON_NO_DATA)
    event = new_event(message, source="/da-nang/environment", time=datetime.now(UTC), traceparent="00-1-2-01")
    return to_headers(event)


def test_events_on_the_bus_have_the_headers_it_names(
    asyncapi_document: dict[str, Any], headers: dict[str, str]
) -> None:
    message = asyncapi_document["components"]["messages"][_LIFTED]
    schema = message["headers"] | {"components": asyncapi_document["components"]}
    named = asyncapi_document["components"]["schemas"]["CloudEventHeaders"]["properties"]

    assert list(Draft202012Validator(schema).iter_errors(headers)) == []
    assert headers.keys() <= named.keys() | {"ce-type", "ce-dataschema"}


def test_headers_of_another_type_do_not_fit(asyncapi_document: dict[str, Any], headers: dict[str, str]) -> None:
    message = asyncapi_document["components"]["messages"]["lienthong.environment.v1.FloodAlarmRaised"]
    schema = message["headers"] | {"components": asyncapi_document["components"]}

    assert not Draft202012Validator(schema).is_valid(headers)


@pytest.mark.parametrize("name", sorted(event.full_name for event in installed().events()))
def test_a_delivery_fits_the_message_of_its_type_and_of_no_other(asyncapi_document: dict[str, Any], name: str) -> None:
    """As the gateway writes it: a CloudEvent whose data has its type beside its fields."""
    contracts = installed()
    event: Any = GetMessageClass(contracts.message(name))()
    ParseDict(example(contracts.message(name)), event)
    delivery: Any = GetMessageClass(contracts.message("lienthong.gateway.v1.SubscribeResponse"))(cursor="c")
    delivery.event.type = name
    delivery.event.data.Pack(event)

    written = MessageToDict(delivery, descriptor_pool=contracts.pool)

    fitting = {
        other
        for other, message in asyncapi_document["components"]["messages"].items()
        if other.endswith(".delivery")
        and Draft202012Validator(message["payload"] | {"components": asyncapi_document["components"]}).is_valid(written)
    }
    assert fitting == {f"{name}.delivery"}
