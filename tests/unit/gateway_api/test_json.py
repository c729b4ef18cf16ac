"""Schemas are right: what protobuf writes fits them, and what fits them protobuf reads."""

from typing import Any

import pytest
import schemathesis
from google.protobuf import message_factory
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode

from gateway.api.asyncapi import asyncapi
from gateway.api.contracts import installed
from gateway.api.openapi import openapi
from gateway.api.routes import routes_of
from mesh.validation import violations
from tests.unit.gateway_api.made_up import messages, strict

_CONTRACTS = installed()
_OPENAPI = openapi(_CONTRACTS)
_OPERATIONS = schemathesis.openapi.from_dict(_OPENAPI)
_ASYNCAPI = asyncapi(_CONTRACTS)
_ANSWERS = sorted({rpc.output_type.full_name for rpc in _CONTRACTS.public_methods() if any(routes_of(rpc))})
_EVENTS = sorted(event.full_name for event in _CONTRACTS.events())
_BODIES = sorted(
    (route.verb, route.path, rpc.full_name)
    for rpc in _CONTRACTS.public_methods()
    for route in routes_of(rpc)
    if route.body
)
_CHECKED = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def _validator(document: dict[str, Any], name: str) -> Draft202012Validator:
    reference = {"$ref": f"#/components/schemas/{name}", "components": strict(document["components"])}
    return Draft202012Validator(reference)


def _check_what_is_written(document: dict[str, Any], name: str) -> None:
    validator = _validator(document, name)

    @_CHECKED
    @given(message=messages(_CONTRACTS.message(name)), whole=st.booleans())
    def fits(message: Message, whole: bool) -> None:
        written = MessageToDict(message, always_print_fields_with_no_presence=whole)
        assert [error.message for error in validator.iter_errors(written)] == []

    fits()


@pytest.mark.parametrize("name", _ANSWERS)
def test_what_protobuf_writes_fits_the_schema_of_an_answer(name: str) -> None:
    """Any answer, with its defaults left out as protobuf does, and with them; no property is missing in the schema."""
    _check_what_is_written(_OPENAPI, name)


@pytest.mark.parametrize("name", _EVENTS)
def test_what_protobuf_writes_fits_the_schema_of_an_event(name: str) -> None:
    _check_what_is_written(_ASYNCAPI, name)


@pytest.mark.parametrize(("verb", "path", "rpc"), _BODIES)
def test_what_fits_the_schema_of_a_request_is_accepted(verb: str, path: str, rpc: str) -> None:
    """It parses as protobuf's JSON and, with what the URL holds, keeps every rule of the contract."""
    method: Any = _CONTRACTS.method(rpc)
    operation = _OPERATIONS[path][verb.upper()]
    (route,) = (route for route in routes_of(method) if route.path == path)
    in_path = [given.path for given in route.in_path]

    @_CHECKED
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def is_accepted(case: Any) -> None:
        message: Any = message_factory.GetMessageClass(method.input_type)()
        ParseDict(case.body, message, ignore_unknown_fields=True)
        assert [found for found in violations(message) if found.field not in in_path] == []

    is_accepted()
