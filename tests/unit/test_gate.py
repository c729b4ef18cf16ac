"""What a certificate opens, whatever the token."""

from __future__ import annotations

import pytest

from lienthong.environment.v1 import environment_service_pb2
from lienthong.exchange.v1 import exchange_service_pb2
from lienthong.mesh.v1 import node_service_pb2
from mesh.auth import Caller
from mesh.errors import PermissionDenied, Unauthenticated
from mesh.gate import Gate
from mesh.identity import EDGE, EXCHANGE, OPERATOR, SERVICES, Identity

ENVIRONMENT = environment_service_pb2.DESCRIPTOR.services_by_name["EnvironmentService"]
EXCHANGE_SERVICE = exchange_service_pb2.DESCRIPTOR.services_by_name["ExchangeService"]
NODE = node_service_pb2.DESCRIPTOR.services_by_name["NodeService"]

PUBLIC = ENVIRONMENT.methods_by_name["GetStation"]
PUBLIC_STREAM = ENVIRONMENT.methods_by_name["StreamReadings"]
INTERNAL = NODE.methods_by_name["ReadLog"]
OF_EXCHANGES = EXCHANGE_SERVICE.methods_by_name["ReadShareLog"]
OF_OPERATORS = EXCHANGE_SERVICE.methods_by_name["RevokeAgreement"]


class Connection:
    """A call over a connection with that name in its certificate."""

    def __init__(self, *uris: str) -> None:
        self._names = {"peer_spiffe_id": tuple(uri.encode() for uri in uris)} if uris else {}

    def auth_context(self) -> dict[str, tuple[bytes, ...]]:
        return self._names


@pytest.fixture
def gate() -> Gate:
    """Of Đà Nẵng."""
    return Gate("da-nang")


def opened(gate: Gate, identity: Identity) -> list[str]:
    found = []
    for method in (PUBLIC, PUBLIC_STREAM, INTERNAL, OF_EXCHANGES, OF_OPERATORS):
        try:
            assert gate.admit(Connection(identity.uri), method) == identity
        except PermissionDenied:
            continue
        found.append(method.name)
    return found


def test_the_localitys_own_services_and_operator_may_try_everything(gate: Gate) -> None:
    for principal in (SERVICES, EXCHANGE, OPERATOR, "environment"):
        assert len(opened(gate, Identity("da-nang", principal))) == 5


def test_the_edge_opens_what_is_public(gate: Gate) -> None:
    assert opened(gate, Identity("da-nang", EDGE)) == ["GetStation", "StreamReadings"]


def test_another_localitys_exchange_opens_what_exchanges_ask_of_each_other(gate: Gate) -> None:
    for principal in (SERVICES, EXCHANGE):
        assert opened(gate, Identity("hue", principal)) == ["ReadShareLog"]


def test_another_localitys_other_principals_open_nothing(gate: Gate) -> None:
    for principal in (EDGE, OPERATOR, "environment"):
        assert opened(gate, Identity("hue", principal)) == []


def test_a_connection_that_names_nobody_opens_nothing(gate: Gate) -> None:
    for connection in (Connection(), Connection("spiffe://elsewhere/da-nang/operator")):
        with pytest.raises(Unauthenticated):
            gate.admit(connection, PUBLIC)


def test_a_refusal_names_who_and_what(gate: Gate) -> None:
    with pytest.raises(PermissionDenied, match=r"ExchangeService\.RevokeAgreement is closed to .* services of hue"):
        gate.admit(Connection(Identity("hue", SERVICES).uri), OF_OPERATORS)


def test_another_locality_brings_its_own_token(gate: Gate) -> None:
    """One it has found somewhere is of no use to it."""
    hue = Identity("hue", SERVICES)

    gate.check_token(hue, Caller("mesh", "hue", frozenset()))
    for issuer in ("da-nang", "ha-noi"):
        with pytest.raises(PermissionDenied, match=f"a token of {issuer} does not come from services of hue"):
            gate.check_token(hue, Caller("mesh", issuer, frozenset()))
