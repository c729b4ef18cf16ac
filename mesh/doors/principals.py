"""Who there is in a locality, what each may call, and which databases are theirs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mesh.annotations import method_scope
from mesh.auth import ALL_SCOPES, PEER_SCOPES
from mesh.container import database_name
from mesh.contracts import service_descriptor
from mesh.doors.declared import Declared
from mesh.doors.logs import log_scopes
from mesh.doors.rpcs import OpenRpc
from mesh.doors.subjects import Door, door_of, operators_door
from mesh.elsewhere import SCOPE as ASK_SCOPE
from mesh.identity import EDGE, OPERATOR

HUB: Final = "hub"
"""What keeps the hub's permissions equal to the agreements."""
PEER: Final = "another locality's exchange"

CLOSED: Final = Door()
_READ_WRITE: Final = "readWrite"
_READ: Final = "read"


@dataclass(frozen=True)
class Principal:
    """Somebody with credentials in a locality."""

    name: str
    scopes: frozenset[str]
    """What its tokens carry; those of outsiders are their own."""
    public_only: bool = False
    """Whether it reaches nothing but what outsiders may call."""
    door: Door = CLOSED
    """At the locality's NATS server; closed where it has no login."""
    databases: tuple[tuple[str, str], ...] = ()
    """Databases and the role it has in each."""

    @property
    def on_bus(self) -> bool:
        """Whether it has a login at its node's NATS server."""
        return self.door != CLOSED

    def may_call(self, rpc: OpenRpc) -> bool:
        """Whether a call with what it has is let in."""
        if self.public_only:
            return rpc.public
        return rpc.scope in self.scopes or ALL_SCOPES in self.scopes


def principals(services: Iterable[Declared], locality: str) -> list[Principal]:
    """Returns everybody who may knock at a locality's doors: its services first, then who comes from outside them."""
    declared = sorted(services, key=lambda one: one.name)
    lookups = {lookup.scope for one in declared for lookup in one.lookups}
    databases = tuple((database_name(locality, one.name), _READ) for one in declared)
    return [
        *(_service(one, locality, lookups) for one in declared),
        Principal(OPERATOR, frozenset({ALL_SCOPES}), door=operators_door(), databases=databases),
        Principal(HUB, frozenset({"exchange.read"})),
        Principal(EDGE, frozenset(), public_only=True),
        Principal(PEER, PEER_SCOPES),
    ]


def _service(service: Declared, locality: str, lookups: set[str]) -> Principal:
    return Principal(
        service.name,
        frozenset(_scopes(service) | (lookups if service.answers_lookups else set())),
        door=door_of(service, locality) if service.on_bus else CLOSED,
        databases=((database_name(locality, service.name), _READ_WRITE),),
    )


def _scopes(service: Declared) -> set[str]:
    """What it asks of others: the contracts it calls, logs that fill the holes of what it reads, lookups elsewhere."""
    called = {method_scope(method) for name in service.calls for method in service_descriptor(name).methods}
    return called | log_scopes(service.interests) | ({ASK_SCOPE} if service.lookups else set())
