"""How RPCs are called over HTTP."""

import re
from collections import Counter

import pytest

from gateway.api.contracts import Contracts
from gateway.api.routes import Route, routes_of


def _routes(contracts: Contracts, rpc: str) -> list[Route]:
    return list(routes_of(contracts.method(f"lienthong.{rpc}")))


def test_every_public_rpc_has_a_url_unless_it_streams_both_ways(contracts: Contracts) -> None:
    """An integrator with curl reaches everything that curl can reach."""
    for rpc in contracts.public_methods():
        assert bool(list(routes_of(rpc))) != (rpc.client_streaming and rpc.server_streaming), rpc.full_name


def test_no_two_rpcs_share_a_url(contracts: Contracts) -> None:
    """Whatever the variables are called."""
    used = Counter(
        (route.verb, re.sub(r"{\w+}", "*", route.path))
        for rpc in contracts.public_methods()
        for route in routes_of(rpc)
    )

    assert [url for url, times in used.items() if times > 1] == []


def test_urls_begin_with_the_package(contracts: Contracts) -> None:
    """`lienthong.environment.v1` answers under `/environment/v1/`, the event gateway under `/events/v1/`."""
    for rpc in contracts.public_methods():
        sector = rpc.containing_service.file.package.split(".")[1].replace("gateway", "events")
        assert all(route.path.startswith(f"/{sector}/v1/") for route in routes_of(rpc))


def test_reads_are_gets_and_writes_carry_all_in_the_body(contracts: Contracts) -> None:
    for rpc in contracts.public_methods():
        for route in routes_of(rpc):
            writes = "request_id" in rpc.input_type.fields_by_name
            assert not writes or (route.verb != "get" and route.body == "*"), rpc.full_name


def test_a_path_may_name_a_field_of_a_field(contracts: Contracts) -> None:
    (route,) = _routes(contracts, "environment.v1.EnvironmentService.RegisterStation")

    assert route.path == "/environment/v1/stations/{stationId}"
    assert [(given.name, given.path) for given in route.in_path] == [("stationId", "station.id")]
    assert route.in_query == ()


def test_what_the_path_does_not_name_is_asked_in_the_query(contracts: Contracts) -> None:
    (route,) = _routes(contracts, "environment.v1.EnvironmentService.ListHourlyAirQuality")

    assert [given.name for given in route.in_query] == ["from", "until", "pageSize", "pageToken", "locality"]
    assert not any(given.required for given in route.in_query)


def test_nested_messages_are_asked_with_dots(contracts: Contracts) -> None:
    """Both coordinates of a centre that must be given are needed: the message itself cannot stand in a URL."""
    (route,) = _routes(contracts, "transport.v1.TransportService.FindRoadSegments")

    needed = [given.name for given in route.in_query if given.required]

    assert needed == ["within.center.latitude", "within.center.longitude", "within.radiusM"]


@pytest.mark.parametrize(
    ("rpc", "paths"),
    [
        ("administration.v1.AdministrationService.GetCase", ["cases/{caseId}", "caseCodes/{caseCode}"]),
        ("localities.v1.LocalitiesService.GetLocality", ["localities/{code}", "slugs/{slug}"]),
    ],
)
def test_what_has_two_names_has_two_urls(contracts: Contracts, rpc: str, paths: list[str]) -> None:
    assert [route.path.split("/v1/")[1] for route in _routes(contracts, rpc)] == paths
