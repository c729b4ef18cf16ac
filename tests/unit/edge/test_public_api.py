"""What outsiders may call, read from the contracts."""

from __future__ import annotations

from gateway.edge.public_api import PublicMethod, public_methods
from mesh.public import PublicContracts

ENVIRONMENT = "lienthong.environment.v1.EnvironmentService"


def method(name: str) -> PublicMethod:
    """A public method of the environment sector."""
    return next(one for one in public_methods(PublicContracts()) if one.name == f"{ENVIRONMENT}/{name}")


def test_only_services_with_urls_are_public() -> None:
    """The exchange and the operators' view of a node are for the mesh itself."""
    services = {one.service for one in public_methods(PublicContracts())}

    assert services == {"administration", "environment", "gateway", "health", "localities", "transport"}


def test_contracts_of_outsiders_hold_events_and_errors_and_nothing_internal() -> None:
    """What they may be sent is described, what they may not call is not."""
    pool = PublicContracts().pool

    assert pool.FindMessageTypeByName("lienthong.environment.v1.AirQualityAlertRaised")
    assert pool.FindMessageTypeByName("google.rpc.RetryInfo")
    names = [service.full_name for service in PublicContracts().services]
    assert not [name for name in names if "exchange" in name or "mesh" in name]


def test_a_method_brings_the_scope_of_its_contract() -> None:
    """The edge asks for the same scope as the service."""
    assert method("ListStations").scope == "environment.read"
    assert method("RegisterStation").scope == "environment.write"


def test_reads_and_writes_with_a_request_id_are_repeatable() -> None:
    """A write that must bring a `request_id` is answered once, however often it comes."""
    assert method("ListStations").repeatable
    assert method("RegisterStation").repeatable


def test_streams_of_requests_are_not_repeatable() -> None:
    """Part of them may be committed."""
    assert method("StreamReadings").streams
    assert not method("StreamReadings").repeatable


def test_a_stream_of_answers_has_a_url_of_its_own() -> None:
    """By which the edge recognises who wants server-sent events."""
    paths = {one.name.rpartition("/")[2]: one.stream_path for one in public_methods(PublicContracts())}

    assert paths["Subscribe"] == "/events/v1/events:subscribe"
    assert paths["ListStations"] == ""
