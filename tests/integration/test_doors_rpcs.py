"""Every principal calls every RPC of a locality with what it has; exactly the declared cells open.

By token: which certificate it comes with is tried in `test_doors_certificates.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from mesh.auth import ALL_SCOPES, PEER_SCOPES, generate_key
from mesh.config import load
from mesh.doors.declared import declared
from mesh.doors.principals import HUB, PEER, Principal, principals
from mesh.doors.rpcs import OpenRpc, rpcs
from mesh.host import Host
from mesh.identity import EDGE
from mesh.installed import installed_services, service_class
from tests.conftest import RunningMongod, RunningNats
from tests.hosts import Home, Homes
from tests.integration.doors_rpcs import lets_in

CLASSES = [service_class(place) for place in installed_services().values()]
SERVICES = [declared(service) for service in CLASSES]
RPCS = rpcs(SERVICES)
PRINCIPALS = {principal.name: principal for principal in principals(SERVICES, "da-nang")}


class Locality:
    """One process with every installed service, and somebody else's key that it trusts."""

    def __init__(self, home: Home, host: Host, elsewhere: str, key: object) -> None:
        self._home = home
        self._channel = home.channel(host)
        self._elsewhere = elsewhere
        self._key = key

    def own_token(self, *scopes: str) -> str:
        return self._home.token(*scopes)

    def peers_token(self, *scopes: str) -> str:
        return self._home.token(*scopes, key=self._key, issuer=self._elsewhere)

    def token_of(self, principal: Principal) -> str:
        """What the principal calls with."""
        token = self.peers_token if principal.name == PEER else self.own_token
        return token(*principal.scopes)

    async def opens(self, rpc: OpenRpc, token: str) -> bool:
        return await lets_in(self._channel, rpc, token)


@pytest.fixture
async def locality(empty_nats: RunningNats, mongod: RunningMongod, homes: Homes) -> Locality:
    """Every installed service in one process."""
    home = homes(mongod=None, nats=empty_nats)
    elsewhere = "hue" if home.locality != "hue" else "da-nang"
    key = home.keys.private(elsewhere)
    believed = home.keys.issuers([home.locality, elsewhere])
    auth = {"private_key_file": str(home.keys.file(home.locality)), "issuers": believed}
    servers = {"mongodb_uri": home.mongodb_uri, "nats_url": home.nats_url}
    host = Host(load({}, locality=home.locality, insecure=True, auth=auth, **servers), CLASSES)
    home._hosts.append(host)
    await host.start()
    return Locality(home, host, elsewhere, key)


@pytest.mark.timeout(120)
async def test_exactly_the_declared_rpcs_open(locality: Locality) -> None:
    """For each principal with a token of its own; the edge passes on those of outsiders."""
    for principal in PRINCIPALS.values():
        if principal.name == EDGE:
            continue
        token = locality.token_of(principal)

        opened = {rpc for rpc in RPCS if await locality.opens(rpc, token)}

        assert _names(opened) == _names(rpc for rpc in RPCS if principal.may_call(rpc)), principal.name


@pytest.mark.timeout(120)
async def test_one_scope_opens_its_rpcs_and_no_other(locality: Locality) -> None:
    """A token for each scope there is; an outsider has no more than that."""
    for scope in sorted({rpc.scope for rpc in RPCS}):
        token = locality.own_token(scope)

        assert _names([rpc for rpc in RPCS if await locality.opens(rpc, token)]) == _names(
            rpc for rpc in RPCS if rpc.scope == scope
        )


async def test_nothing_opens_without_a_token_or_to_more_than_another_locality_may_grant(locality: Locality) -> None:
    """No token, another locality's token that grants itself everything, and one that no trusted key signed."""
    forged = locality._home.token(ALL_SCOPES, key=generate_key())
    for token in ("", locality.peers_token(ALL_SCOPES), locality.peers_token("mesh.log", *PEER_SCOPES), forged):
        assert [rpc for rpc in RPCS if await locality.opens(rpc, token)] == []


def test_every_rpc_has_a_scope_and_somebody_it_opens_to() -> None:
    """An RPC nobody may call is a mistake in its contract."""
    assert [rpc for rpc in RPCS if not rpc.scope] == []
    assert [rpc for rpc in RPCS if not any(principal.may_call(rpc) for principal in PRINCIPALS.values())] == []


def test_the_hub_only_reads_agreements() -> None:
    """What keeps the hub's permissions asks for nothing more than what they follow from."""
    assert {rpc.service for rpc in RPCS if PRINCIPALS[HUB].may_call(rpc)} == {"lienthong.exchange.v1.ExchangeService"}


def _names(opened: Iterable[OpenRpc]) -> list[str]:
    return sorted(f"{rpc.service}/{rpc.method}" for rpc in opened)
