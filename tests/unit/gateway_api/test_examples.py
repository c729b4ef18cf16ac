"""Examples in the documents are calls that would be accepted."""

from typing import Any

import pytest
from google.protobuf import message_factory
from google.protobuf.json_format import ParseDict
from jsonschema import Draft202012Validator

from gateway.api.contracts import Contracts, installed
from gateway.api.examples import example
from mesh.validation import violations

_REQUESTS = sorted(rpc.input_type.full_name for rpc in installed().public_methods())
_EVENTS = sorted(event.full_name for event in installed().events())


@pytest.mark.parametrize("name", _REQUESTS + _EVENTS)
def test_an_example_keeps_every_rule_of_its_contract(contracts: Contracts, name: str) -> None:
    message: Any = message_factory.GetMessageClass(contracts.message(name))()

    ParseDict(example(contracts.message(name)), message)

    assert violations(message) == []


def test_examples_fit_their_own_schemas(openapi_document: dict[str, Any]) -> None:
    for path in openapi_document["paths"].values():
        for operation in path.values():
            shown = [
                (given["schema"], given["example"]) for given in operation.get("parameters", ()) if "example" in given
            ]
            if "requestBody" in operation:
                content = operation["requestBody"]["content"]["application/json"]
                shown.append((content["schema"], content["example"]))
            for schema, value in shown:
                whole = schema | {"components": openapi_document["components"]}
                assert list(Draft202012Validator(whole).iter_errors(value)) == [], operation["operationId"]
