"""Whoever knows nothing but /openapi.json: made-up requests, right ones and wrong ones, through a running edge.

No answer is a server error, each is what the document says of it, and whatever the contract does not allow is the
caller's error.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.api.contracts import installed
from gateway.api.examples import example_request
from gateway.api.routes import Route, routes_of
from mesh.annotations import method_scope
from mesh.installed import installed_services
from mesh.stack import Stack
from tests.conftest import Background
from tests.edges import RunningEdge
from tests.integration.judge_of_requests import is_bad
from tests.unit.gateway_api.made_up import strict

_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
_MODES = {"right": GenerationMode.POSITIVE, "wrong": GenerationMode.NEGATIVE}


def _routes() -> Iterator[Route]:
    """All of services that run here, without the streams: those do not end."""
    running = installed_services()
    for rpc in installed().public_methods():
        sector = rpc.containing_service.file.package.split(".")[1]
        if sector in running and not rpc.server_streaming:
            yield from routes_of(rpc)


_ROUTES = {f"{route.verb.upper()} {route.path}": route for route in _routes()}


class Outsider:
    """Knows the address of the edge and whom to believe, and has a token."""

    def __init__(self, edge: RunningEdge) -> None:
        self.url, self.ca = edge.url, str(edge.ca)
        scopes = sorted({method_scope(route.rpc) for route in _ROUTES.values()})
        self.headers = {"Authorization": f"Bearer {edge.token(*scopes, ttl_s=3600)}"}
        self.document = _strict(self.get("/openapi.json").json())
        self.operations = schemathesis.openapi.from_dict(self.document)

    def get(self, path: str, **headers: str) -> httpx.Response:
        """One request that needs no making up."""
        believed = ssl.create_default_context(cafile=self.ca)
        return httpx.get(self.url + path, headers=self.headers | headers, verify=believed)

    def send(self, case: Any) -> Any:
        """Sends a request and checks that its answer is one the document knows."""
        answer = case.call(base_url=self.url, headers=self.headers, verify=self.ca)
        case.validate_response(answer, checks=_CHECKS)
        return answer


def _strict(document: dict[str, Any]) -> dict[str, Any]:
    """The document, where answers have no property that it does not list."""
    schemas = document["components"]["schemas"]
    ours = {name: strict(schema) for name, schema in schemas.items() if name.startswith("lienthong.")}
    return document | {"components": document["components"] | {"schemas": schemas | ours}}


@pytest.fixture(scope="module")
def outsider(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outsider]:
    """Hue with all its sectors and its edge, which lets one subject make as many requests as it can."""
    with pytest.MonkeyPatch.context() as variables:
        variables.setenv("LIENTHONG_EDGE__REQUESTS_PER_SECOND", "1000000")
        variables.setenv("LIENTHONG_EDGE__BURST", "1000000")
        stack = Stack(["hue"], tmp_path_factory.mktemp("edge"))
        background.run(stack.__aenter__())
        try:
            yield Outsider(RunningEdge(stack, background))
        finally:
            background.run(stack.__aexit__(None, None, None))


def _made_up(outsider: Outsider, name: str, kind: str, tries: int) -> None:
    route = _ROUTES[name]
    operation = outsider.operations[route.path][route.verb.upper()]

    @settings(
        max_examples=tries,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=_MODES[kind]))
    def is_answered(case: Any) -> None:
        answer = outsider.send(case)
        if is_bad(route, answer.request.url, answer.request.body):
            assert 400 <= answer.status_code < 500, f"{answer.status_code} for {case.as_curl_command()}"

    is_answered()


@pytest.mark.parametrize("name", sorted(_ROUTES))
def test_the_judge_knows_right_from_wrong(name: str) -> None:
    """The example of a call is right; with a text for a message, or a parameter nobody knows, it is wrong."""
    route = _ROUTES[name]
    made = example_request(route)
    path = route.path.format_map({given.name: made.parameters[given.name] for given in route.in_path})
    query = urlencode({given.name: made.parameters[given.name] for given in route.in_query if given.required})
    body = json.dumps(made.body)

    assert not is_bad(route, f"{path}?{query}", body)
    assert is_bad(route, f"{path}?{query}", '"text"') if route.body else is_bad(route, f"{path}?nobody=knows", None)


@pytest.mark.parametrize("kind", _MODES)
@pytest.mark.parametrize("name", sorted(_ROUTES))
def test_a_request_is_answered_as_the_document_says(outsider: Outsider, name: str, kind: str) -> None:
    _made_up(outsider, name, kind, tries=4)


def test_a_header_that_grpc_cannot_carry_breaks_nothing(outsider: Outsider) -> None:
    """HTTP allows `^` in a name, gRPC's metadata does not; the first run of made-up requests found it: 500."""
    answer = outsider.get("/environment/v1/stations", **{"a^b": "c"})

    assert answer.status_code == 200


def test_what_the_document_does_not_know_would_be_found(outsider: Outsider) -> None:
    """A document that lists less than what is answered fails the check that the others pass."""
    schemas = outsider.document["components"]["schemas"]
    silent = {"lienthong.localities.v1.ListLocalitiesResponse": {"type": "object", "additionalProperties": False}}
    document = outsider.document | {"components": outsider.document["components"] | {"schemas": schemas | silent}}
    case = schemathesis.openapi.from_dict(document)["/localities/v1/localities"]["GET"].Case()

    with pytest.raises(FailureGroup):
        outsider.send(case)


@pytest.mark.soak
@pytest.mark.parametrize("kind", _MODES)
@pytest.mark.parametrize("name", sorted(_ROUTES))
def test_many_requests_are_answered_as_the_document_says(outsider: Outsider, name: str, kind: str) -> None:
    _made_up(outsider, name, kind, tries=100)
