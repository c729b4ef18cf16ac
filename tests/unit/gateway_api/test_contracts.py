"""What the wheel tells of its contracts."""

from gateway.api.contracts import Contracts, first_sentence

_ENVIRONMENT = "lienthong.environment.v1"


def test_services_with_any_http_rule_are_public(contracts: Contracts) -> None:
    """The exchange and the services of the mesh itself are for nobody outside."""
    public = {service.full_name for service in contracts.public_services()}

    assert f"{_ENVIRONMENT}.EnvironmentService" in public
    assert "lienthong.gateway.v1.EventGateway" in public
    assert not {name for name in public if name.startswith(("lienthong.mesh.", "lienthong.exchange."))}


def test_comments_are_found_by_name(contracts: Contracts) -> None:
    """Of services, RPCs, messages, fields, enums and their values alike."""
    assert contracts.comment(f"{_ENVIRONMENT}.EnvironmentService").startswith("Air quality and water stages")
    assert contracts.comment(f"{_ENVIRONMENT}.EnvironmentService.ListStations") == "Lists stations by id."
    assert contracts.comment(f"{_ENVIRONMENT}.Location.latitude") == "Degrees north."
    assert contracts.comment(f"{_ENVIRONMENT}.Band.BAND_UNSPECIFIED")


def test_everything_public_is_explained(contracts: Contracts) -> None:
    """`buf lint` asks for comments; here they arrive."""
    for rpc in contracts.public_methods():
        kinds = (rpc.input_type, rpc.output_type)
        names = [rpc.full_name, *(field.full_name for kind in kinds for field in kind.fields)]
        assert [name for name in names if not contracts.comment(name)] == []


def test_a_summary_is_the_first_sentence() -> None:
    assert first_sentence("Returns one station; NOT_FOUND when there is none.") == "Returns one station"
    assert first_sentence("Lists days,\noldest first. More.") == "Lists days, oldest first"
