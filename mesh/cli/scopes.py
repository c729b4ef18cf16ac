"""Scopes that a token may carry: those the contracts of installed services name."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from google.protobuf.descriptor import ServiceDescriptor

from mesh.annotations import method_scope
from mesh.auth import ALL_SCOPES
from mesh.cli import services
from mesh.cli.exits import UsageError
from mesh.cli.running import NODE
from mesh.contracts import service_descriptor
from mesh.events import catalogue
from mesh.installed import installed_services
from mesh.log_scopes import LOCAL_EVENTS, PEERS_EVENTS, log_scope
from mesh.rpc import contract_of


def known_scopes() -> list[str]:
    """Scopes that open something here, in order."""
    return sorted({method_scope(method) for contract in _contracts() for method in contract.methods} - {""})


def check_scopes(wanted: Collection[str]) -> None:
    """Raises UsageError naming the first scope that opens nothing, and those that do."""
    known = known_scopes()
    unknown = [scope for scope in wanted if scope not in (*known, *_log_scopes(), ALL_SCOPES)]
    if unknown:
        raise UsageError(f"no RPC asks for scope {unknown[0]}; known: {', '.join(known)}, or {ALL_SCOPES} for all")


def _log_scopes() -> Iterator[str]:
    """Those that open logs: too many to be listed where one is unknown."""
    for whose in (LOCAL_EVENTS, PEERS_EVENTS):
        yield log_scope(whose)
        yield from (log_scope(whose, kind.sector, kind.topic) for kind in catalogue())


def _contracts() -> Iterator[ServiceDescriptor]:
    yield service_descriptor(NODE)
    for service in services.find(list(installed_services())):
        contract = contract_of(service)
        if contract is not None:
            yield contract
