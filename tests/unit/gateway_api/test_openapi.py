"""The OpenAPI document."""

from collections.abc import Iterator
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.api.contracts import Contracts
from gateway.api.openapi import openapi
from gateway.api.routes import routes_of
from mesh.annotations import method_scope

_STATION = "/environment/v1/stations/{stationId}"


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def test_it_is_openapi_3_1(openapi_document: dict[str, Any]) -> None:
    """By a validator nobody here wrote."""
    assert list(OpenAPIV31SpecValidator(openapi_document).iter_errors()) == []


def test_every_way_to_call_an_rpc_is_an_operation_with_its_scope(
    contracts: Contracts, openapi_document: dict[str, Any]
) -> None:
    for rpc in contracts.public_methods():
        for route in routes_of(rpc):
            operation = openapi_document["paths"][route.path][route.verb]
            assert operation["security"] == [{"token": [method_scope(rpc)]}]
            assert method_scope(rpc) in operation["description"]


def test_operation_ids_are_unique(openapi_document: dict[str, Any]) -> None:
    """Generated clients name their functions after them."""
    names = [operation["operationId"] for operation in _operations(openapi_document)]

    assert len(names) == len(set(names))


def test_what_stands_in_the_path_is_not_asked_again_in_the_body(openapi_document: dict[str, Any]) -> None:
    operation = openapi_document["paths"][_STATION]["put"]
    body = openapi_document["components"]["schemas"]["lienthong.environment.v1.RegisterStationRequest"]

    assert [parameter["name"] for parameter in operation["parameters"]] == ["stationId"]
    assert "id" not in body["properties"]["station"]["properties"]
    assert body["properties"]["station"]["required"] == ["name", "location"]


def test_personal_fields_are_marked(openapi_document: dict[str, Any]) -> None:
    """Whoever stores an answer can see what of it concerns a person."""
    report = openapi_document["components"]["schemas"]["lienthong.administration.v1.FieldReport"]

    marked = {name for name, field in report["properties"].items() if "x-lienthong-sensitivity" in field}

    assert marked == {"description", "contact"}


def test_every_operation_may_fail_with_a_status(openapi_document: dict[str, Any]) -> None:
    for operation in _operations(openapi_document):
        assert {"400", "401", "403", "404", "429", "503", "default"} <= operation["responses"].keys()
    status = openapi_document["components"]["schemas"]["google.rpc.Status"]
    assert status["properties"].keys() == {"code", "message", "details"}


def test_streams_come_as_lines_or_as_server_sent_events(openapi_document: dict[str, Any]) -> None:
    answer = openapi_document["paths"]["/events/v1/events:subscribe"]["get"]["responses"]["200"]

    assert answer["content"].keys() == {"application/x-ndjson", "text/event-stream"}


def test_the_same_contracts_make_the_same_document(contracts: Contracts, openapi_document: dict[str, Any]) -> None:
    """It can be compared, cached and signed."""
    assert openapi(contracts) == openapi_document
