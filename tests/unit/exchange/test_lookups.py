"""Which lookups an agreement grants, and in which words it refuses the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from lienthong.exchange.v1 import Agreement, GrantedLookup
from mesh.errors import PermissionDenied
from services.exchange.agreement import State, valid_from, valid_until
from services.exchange.lookups import granted
from tests.unit.exchange.conftest import NOW

MakeAgreement = Callable[..., Agreement]
SERVICE = "lienthong.environment.v1.EnvironmentService"
STATIONS = f"{SERVICE}/ListStations"
PURPOSE = "public-health warning"


@pytest.fixture
def active(agreement: MakeAgreement) -> Agreement:
    """Lets hue list the stations of da-nang."""
    return agreement(lookups=[GrantedLookup(rpc=STATIONS, fields=["*"])], state=State.ACTIVE.number)


def refusal(agreement: Agreement, rpc: str = STATIONS, purpose: str = "", now: datetime = NOW) -> str:
    with pytest.raises(PermissionDenied) as refused:
        granted(agreement, rpc, purpose, now)
    assert refused.value.agreement == agreement.id
    return refused.value.message


@pytest.mark.parametrize("purpose", ["", PURPOSE])
def test_an_active_agreement_grants_its_lookups_for_its_purpose(active: Agreement, purpose: str) -> None:
    assert granted(active, STATIONS, purpose, NOW).name == STATIONS


def test_it_grants_no_other(active: Agreement) -> None:
    assert "does not grant" in refusal(active, rpc=f"{SERVICE}/ListHourlyAirQuality")


def test_it_grants_nothing_for_another_purpose(active: Agreement) -> None:
    assert PURPOSE in refusal(active, purpose="curiosity")


@pytest.mark.parametrize("state", [state for state in State if state is not State.ACTIVE])
def test_an_agreement_that_is_not_active_grants_nothing(active: Agreement, state: State) -> None:
    active.state = state.number

    assert f"is {state}" in refusal(active)


def test_validity_begins_and_ends_to_the_moment(active: Agreement) -> None:
    """Whatever its state says: the one who writes EXPIRED may come a second later."""
    moment = timedelta(microseconds=1)

    assert granted(active, STATIONS, "", valid_from(active))
    assert granted(active, STATIONS, "", valid_until(active) - moment)
    assert "is not valid now" in refusal(active, now=valid_from(active) - moment)
    assert "is not valid now" in refusal(active, now=valid_until(active))


def test_what_no_contract_here_has_is_not_granted(active: Agreement) -> None:
    """A peer's word is not even looked for."""
    assert "does not grant" in refusal(active, rpc="antigravity.v1.This/That")
