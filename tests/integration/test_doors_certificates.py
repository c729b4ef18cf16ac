"""Every certificate knocks at every RPC of a running locality; exactly what it may reach opens, whatever the token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest
import pytest_asyncio

from mesh.auth import PEER_SCOPES, TokenSource, signing_key
from mesh.client import open_channel
from mesh.doors.declared import declared
from mesh.doors.principals import PEER, principals
from mesh.doors.rpcs import OpenRpc, rpcs
from mesh.identity import EDGE, OPERATOR, SERVICES
from mesh.installed import installed_services, service_class
from mesh.stack import Stack
from mesh.tls import Tls
from tests.integration.doors import HERE, THERE
from tests.integration.doors_rpcs import lets_in

DECLARED = [declared(service_class(place)) for place in installed_services().values()]
RPCS = rpcs(DECLARED)
PRINCIPALS = {principal.name: principal for principal in principals(DECLARED, HERE)}

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Two localities with every installed service."""
    async with Stack([HERE, THERE], tmp_path_factory.mktemp("certified")) as stack:
        yield stack


async def opened_to(stack: Stack, locality: str, principal: str, token: str) -> list[str]:
    """RPCs of this locality that open to a certificate and a token."""
    tls = Tls(Tls.of(stack.certificates.folder(locality, principal)).files, HERE)
    async with open_channel(stack.grpc_address(HERE), tls) as channel:
        return _names([rpc for rpc in RPCS if await lets_in(channel, rpc, token)])


def peers_token(stack: Stack) -> str:
    key = signing_key(stack.data / "keys" / f"{THERE}.pem")
    return TokenSource(key, issuer=THERE, subject="mesh", scopes=PEER_SCOPES, audience=HERE)()


@pytest.mark.parametrize("principal", [OPERATOR, SERVICES])
async def test_inside_the_token_decides(stack: Stack, principal: str) -> None:
    """The operator's token opens everything to those of its locality."""
    assert await opened_to(stack, HERE, principal, stack.token(HERE)) == _names(RPCS)


async def test_the_edge_reaches_what_is_public(stack: Stack) -> None:
    """And is trusted with no more, though an outsider come with the operator's token."""
    public = _names(rpc for rpc in RPCS if PRINCIPALS[EDGE].may_call(rpc))

    assert await opened_to(stack, HERE, EDGE, stack.token(HERE)) == public


async def test_another_locality_reaches_what_exchanges_ask_of_each_other(stack: Stack) -> None:
    """With a token of its own; with one of this locality's it reaches nothing."""
    asked = _names(rpc for rpc in RPCS if PRINCIPALS[PEER].may_call(rpc))

    assert await opened_to(stack, THERE, SERVICES, peers_token(stack)) == asked
    assert await opened_to(stack, THERE, SERVICES, stack.token(HERE)) == []
    assert await opened_to(stack, THERE, EDGE, peers_token(stack)) == []
    assert await opened_to(stack, THERE, OPERATOR, stack.token(HERE)) == []


def _names(opened: Iterable[OpenRpc]) -> list[str]:
    return sorted(f"{rpc.service}/{rpc.method}" for rpc in opened)
