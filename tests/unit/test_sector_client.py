"""What a handler's call is named, and what it refuses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mesh import Client
from mesh.auth import Caller
from mesh.call import Call
from mesh.errors import ContractError, DeadlineExceeded
from mesh.sector_client import Calls, request_id

ENTRYPOINT: Any = SimpleNamespace(method_name="grant_permit")
CALLER = Caller(subject="desk", locality="da-nang", scopes=frozenset({"*"}))


def _asked(id: str = "r1", **given: Any) -> Call:
    return Call(ENTRYPOINT, (SimpleNamespace(request_id=id),), caller=CALLER, method="/x/GrantPermit", **given)


def _caused(id: str) -> Call:
    return Call(ENTRYPOINT, (), cause=SimpleNamespace(id=id))  # type: ignore[arg-type]


def test_a_request_made_again_for_the_same_thing_has_the_same_id() -> None:
    assert request_id(_asked(), "administration", 0) == request_id(_asked(), "administration", 0)
    assert request_id(_caused("e1"), "transport", 0) == request_id(_caused("e1"), "transport", 0)


def test_other_requests_have_other_ids() -> None:
    ids = [
        request_id(_asked(), "administration", 0),
        request_id(_asked(), "administration", 1),
        request_id(_asked("r2"), "administration", 0),
        request_id(_caused("e1"), "transport", 0),
        request_id(_caused("e2"), "transport", 0),
        request_id(_caused("e1"), "health", 0),
    ]

    assert len(set(ids)) == len(ids)


def test_a_run_the_clock_began_has_to_bring_its_own_id() -> None:
    with pytest.raises(ContractError, match="needs a request_id"):
        request_id(Call(ENTRYPOINT, ()), "transport", 0)


def test_a_service_without_a_contract_is_refused_at_start_up() -> None:
    with pytest.raises(ContractError, match=r"lienthong\.nowhere\.v1\.NowhereService"):
        Client("nowhere").setup()


def test_an_unknown_method_is_refused_naming_those_there_are() -> None:
    health = Client("health")
    health.setup()

    with pytest.raises(ContractError, match="get_advisory"):
        Calls(health, SimpleNamespace(), _asked(), "transport").get_advise  # noqa: B018  # type: ignore[arg-type]


def test_no_call_is_made_once_nobody_waits_any_longer() -> None:
    health = Client("health")
    health.setup()
    host: Any = SimpleNamespace(settings=SimpleNamespace(call_deadline_s=4))
    calls = Calls(health, host, _asked(deadline=0.0), "transport")

    with pytest.raises(DeadlineExceeded, match="health"):
        calls.get_advisory(SimpleNamespace())
