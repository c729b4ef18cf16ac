"""Calls to a running locality: who gets in by which certificate, and what the others are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from lienthong.environment.v1 import GetStationRequest
from lienthong.exchange.v1 import ReportReceiptsRequest
from lienthong.mesh.v1 import ListServicesRequest
from mesh.auth import TokenSource, signing_key
from mesh.client import Client, open_channel
from mesh.errors import MeshError, NotFound, PermissionDenied, Unavailable
from mesh.identity import EDGE, OPERATOR, SERVICES, Identity
from mesh.stack import Stack
from mesh.stack.authority import Authorities, Lifetimes, system_now
from mesh.tls import Tls

ENVIRONMENT = "lienthong.environment.v1.EnvironmentService"
EXCHANGE = "lienthong.exchange.v1.ExchangeService"
NODE = "lienthong.mesh.v1.NodeService"
GET_STATION = ENVIRONMENT, "GetStation", GetStationRequest(station_id="no-such")
LIST_SERVICES = NODE, "ListServices", ListServicesRequest()
REPORT_RECEIPTS = EXCHANGE, "ReportReceipts", ReportReceiptsRequest(agreement_id="no-such")
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory, database_uri_of_module: str) -> AsyncIterator[Stack]:
    """Da Nang and Hue with environment and exchange."""
    folder = tmp_path_factory.mktemp("mesh")
    services = ("environment", "exchange")
    async with Stack(["da-nang", "hue"], folder, services=services, mongodb_uri=database_uri_of_module) as stack:
        yield stack


@pytest.fixture(scope="module")
def database_uri_of_module(mongod: Any) -> str:
    return mongod.uri


def held_by(stack: Stack, locality: str, principal: str, *, calls: str = "da-nang") -> Tls:
    """Calls one locality with a certificate of another."""
    return Tls(Tls.of(stack.certificates.folder(locality, principal)).files, calls)


def issued(
    stack: Stack, folder: Path, identity: Identity, *, ended: bool = False, authority: Path | None = None
) -> Tls:
    """A certificate made for the test, by the stack's authority or that of another folder."""
    authorities = Authorities(authority or stack.data / "credentials" / "authorities", Lifetimes(), system_now)
    authorities.keep()
    begins = system_now() - 2 * HOUR
    made = authorities.signer().issue(identity, (), at=begins, life=HOUR if ended else 3 * HOUR)
    (folder / "tls.pem").write_text(made.certificate)
    (folder / "tls-key.pem").write_text(made.key)
    (folder / "ca.pem").write_bytes(stack.certificates.ca.read_bytes())
    return Tls(Tls.of(folder).files, "da-nang")


def token_of(stack: Stack, issuer: str, *scopes: str) -> str:
    """For Da Nang, by another locality's key."""
    key = signing_key(stack.data / "keys" / f"{issuer}.pem")
    return TokenSource(key, issuer=issuer, subject="mesh", scopes=scopes, audience="da-nang")()


async def outcome(stack: Stack, tls: Tls | None, what: tuple[str, str, Any], token: str = "") -> MeshError | None:
    """What a call to Da Nang ends with, by default with its operator's token."""
    service, method, request = what
    token = token or stack.token("da-nang")
    client = Client(service, stack.grpc_address("da-nang"), token=lambda: token, deadline_s=10, tls=tls)
    async with client:
        try:
            await client.call(method, request, repeatable=False)
        except MeshError as error:
            return error
        return None


async def test_a_token_alone_opens_nothing(stack: Stack) -> None:
    """Neither in the clear nor encrypted: the connection is refused before it is read."""
    certified = stack.tls("da-nang").files.latest()
    address, encrypted = stack.grpc_address("da-nang"), grpc.ssl_channel_credentials(certified.authorities)

    assert isinstance(await outcome(stack, None, GET_STATION), Unavailable)
    async with grpc.aio.secure_channel(address, encrypted) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
            await HealthStub(channel).Check(HealthCheckRequest(), timeout=5)


async def test_a_certificate_alone_opens_no_rpc(stack: Stack) -> None:
    refused = await outcome(stack, stack.tls("da-nang"), GET_STATION, token="none")

    assert refused is not None
    assert refused.code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_certificate_opens_the_health_check(stack: Stack) -> None:
    async with open_channel(stack.grpc_address("da-nang"), held_by(stack, "da-nang", EDGE)) as channel:
        answer = await HealthStub(channel).Check(HealthCheckRequest(), timeout=5)

    assert answer.status == HealthCheckResponse.SERVING


async def test_the_operator_and_the_services_are_let_in(stack: Stack) -> None:
    for principal in (OPERATOR, SERVICES):
        assert isinstance(await outcome(stack, held_by(stack, "da-nang", principal), GET_STATION), NotFound)
        assert await outcome(stack, held_by(stack, "da-nang", principal), LIST_SERVICES) is None


async def test_the_edge_is_let_in_to_what_is_public(stack: Stack) -> None:
    """Whatever token it passes on."""
    edge = held_by(stack, "da-nang", EDGE)

    assert isinstance(await outcome(stack, edge, GET_STATION), NotFound)
    for what in (LIST_SERVICES, REPORT_RECEIPTS):
        refused = await outcome(stack, edge, what)
        assert isinstance(refused, PermissionDenied)
        assert "edge of da-nang" in str(refused)


async def test_another_locality_is_let_in_to_what_exchanges_ask(stack: Stack) -> None:
    """Even with the operator's token in its hands."""
    hue = held_by(stack, "hue", SERVICES)
    its_own = token_of(stack, "hue", "exchange.refill")

    answered = await outcome(stack, hue, REPORT_RECEIPTS, its_own)
    for what in (GET_STATION, LIST_SERVICES):
        refused = await outcome(stack, hue, what)
        assert isinstance(refused, PermissionDenied)
        assert "services of hue" in str(refused)
    stolen = await outcome(stack, hue, REPORT_RECEIPTS)

    assert answered is None or "certificate" not in str(answered)
    assert "a token of da-nang does not come from services of hue" in str(stolen)


async def test_who_calls_a_locality_is_answered_by_that_locality(stack: Stack) -> None:
    """An address that leads elsewhere leads nowhere, and the error says so."""
    refused = await outcome(stack, held_by(stack, "da-nang", OPERATOR, calls="hue"), GET_STATION)

    assert isinstance(refused, Unavailable)
    assert "who answers is not hue" in str(refused)


async def test_a_certificate_of_an_unknown_authority_is_refused(stack: Stack, tmp_path: Path) -> None:
    """Though the names in it are right."""
    stranger = issued(stack, tmp_path, Identity("da-nang", OPERATOR), authority=tmp_path / "authorities")

    refused = await outcome(stack, stranger, GET_STATION)

    assert isinstance(refused, Unavailable)
    assert "may not know the authority" in str(refused)


async def test_a_server_of_an_unknown_authority_is_refused(stack: Stack, tmp_path: Path) -> None:
    tls = issued(stack, tmp_path, Identity("da-nang", OPERATOR))
    other = Authorities(tmp_path / "authorities", Lifetimes(), system_now)
    other.keep()
    (tmp_path / "ca.pem").write_text(other.bundle())

    refused = await outcome(stack, tls, GET_STATION)

    assert isinstance(refused, Unavailable)
    assert f"no authority in {tmp_path / 'ca.pem'}" in str(refused)


async def test_an_expired_certificate_is_refused(stack: Stack, tmp_path: Path) -> None:
    """Its holder is told when it expired."""
    expired = issued(stack, tmp_path, Identity("da-nang", OPERATOR), ended=True)

    refused = await outcome(stack, expired, GET_STATION)

    assert isinstance(refused, Unavailable)
    assert f"the certificate in {tmp_path} expired at" in str(refused)
    assert await outcome(stack, issued(stack, tmp_path, Identity("da-nang", OPERATOR)), LIST_SERVICES) is None
