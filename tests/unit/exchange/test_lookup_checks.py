"""What the lookups of an agreement must satisfy before it may be applied."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lienthong.exchange.v1 import Agreement, GrantedLookup
from mesh.errors import InvalidArgument
from services.exchange.checks import check_agreement

MakeAgreement = Callable[..., Agreement]
SERVICE = "lienthong.environment.v1.EnvironmentService"
STATIONS, HOURS = f"{SERVICE}/ListStations", f"{SERVICE}/ListHourlyAirQuality"


def lookups(*granted: tuple[str, str]) -> dict[str, list[GrantedLookup]]:
    """RPCs with their fields, as an agreement has them."""
    return {"lookups": [GrantedLookup(rpc=rpc, fields=fields.split()) for rpc, fields in granted]}


def complaints(agreement: Agreement) -> dict[str, str]:
    with pytest.raises(InvalidArgument) as refused:
        check_agreement(agreement, "da-nang")
    return {violation.field: violation.description for violation in refused.value.violations}


def test_an_agreement_may_grant_lookups_beside_events(agreement: MakeAgreement) -> None:
    check_agreement(agreement(**lookups((STATIONS, "*"), (HOURS, "hours.index hours.hour"))), "da-nang")


def test_an_agreement_may_grant_lookups_alone(agreement: MakeAgreement) -> None:
    check_agreement(agreement(events=[], **lookups((STATIONS, "*"))), "hue")


def test_an_agreement_grants_something(agreement: MakeAgreement) -> None:
    assert "shares events, or grants lookups" in complaints(agreement(events=[]))["events"]


@pytest.mark.parametrize(
    ("rpc", "fields", "field", "complaint"),
    [
        (
            "ListStations",
            "*",
            "rpc",
            "no contract here has an RPC ListStations; it is named as lienthong.environment.v1",
        ),
        (f"{SERVICE}.ListStations", "*", "rpc", "no contract here has an RPC"),
        (f"{SERVICE}/Nothing", "*", "rpc", "no contract here has an RPC"),
        ("os.path/join", "*", "rpc", "no contract here has an RPC"),
        (f"{SERVICE}/RecordReadings", "*", "rpc", "its contract does not declare it one"),
        (f"{SERVICE}/StreamReadings", "*", "rpc", "its contract does not declare it one"),
        ("lienthong.exchange.v1.ExchangeService/ListAgreements", "*", "rpc", "does not declare it one"),
        (
            STATIONS,
            "stationz",
            "fields[0]",
            "ListStationsResponse has no field stationz, of stationz; it has stations,",
        ),
        (STATIONS, "stations stations.x", "fields[1]", "Station has no field x, of stations.x; it has id,"),
        (STATIONS, "stations.id.x", "fields[0]", "goes into id, which crosses whole or not at all"),
        (STATIONS, "stations.", "fields[0]", "Station has no field , of stations.;"),
        (STATIONS, ".stations", "fields[0]", "has no field , of .stations;"),
        (STATIONS, "* stations", "fields[0]", "stands alone"),
        (STATIONS, "stations.id stations.name", "fields", "stations.location is required and must not be left out"),
        (
            STATIONS,
            "stations.id stations.name stations.location.latitude next_page_token",
            None,
            "",
        ),
        (HOURS, "hours.index", None, ""),
    ],
)
def test_what_is_granted_must_exist_be_a_lookup_and_be_whole(
    agreement: MakeAgreement, rpc: str, fields: str, field: str | None, complaint: str
) -> None:
    made = agreement(**lookups((rpc, fields)))

    if field is None:
        check_agreement(made, "da-nang")
    else:
        assert complaint in complaints(made)[f"lookups[0].{field}"]


def test_a_lookup_is_listed_once(agreement: MakeAgreement) -> None:
    twice = agreement(**lookups((STATIONS, "*"), (STATIONS, "stations")))

    assert complaints(twice)["lookups[1].rpc"] == f"{STATIONS} is listed twice"


def test_everything_wrong_is_told_at_once(agreement: MakeAgreement) -> None:
    wrong = agreement(provider="saigon", **lookups(("x", "*"), (STATIONS, "y")))

    assert set(complaints(wrong)) >= {"provider", "lookups[0].rpc", "lookups[1].fields[0]"}
