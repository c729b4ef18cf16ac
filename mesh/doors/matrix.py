"""The whole matrix of a locality: principals by RPCs, subjects, databases and hub."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from mesh.doors.declared import Declared
from mesh.doors.principals import Principal, principals
from mesh.doors.rpcs import OpenRpc, rpcs
from mesh.stack.permissions import Pair, permissions


@dataclass(frozen=True)
class Matrix:
    """Everything a locality lets anybody do; what is not in it is closed."""

    locality: str
    principals: tuple[Principal, ...]
    rpcs: tuple[OpenRpc, ...]
    pairs: tuple[Pair, ...]
    """Provider and recipient of the agreements that open the hub."""

    @classmethod
    def of(cls, services: Iterable[Declared], locality: str, pairs: Iterable[Pair]) -> Self:
        """Derives the matrix from what services declare and what was agreed."""
        declared = tuple(services)
        return cls(locality, tuple(principals(declared, locality)), tuple(rpcs(declared)), tuple(sorted(set(pairs))))

    def callers(self, rpc: OpenRpc) -> list[str]:
        """Names of those who may call an RPC."""
        return [principal.name for principal in self.principals if principal.may_call(rpc)]

    def as_json(self) -> dict[str, Any]:
        """The matrix for programs."""
        return {
            "locality": self.locality,
            "principals": [self._principal(principal) for principal in self.principals],
            "rpcs": [
                {"rpc": f"{rpc.service}/{rpc.method}", "scope": rpc.scope, "public": rpc.public}
                | {"open_to": self.callers(rpc)}
                for rpc in self.rpcs
            ],
            "hub": [_pair(pair) for pair in self.pairs],
        }

    def _principal(self, principal: Principal) -> dict[str, Any]:
        return {
            "name": principal.name,
            "scopes": sorted(principal.scopes),
            "nats": {"publish": principal.door.open_to_publish, "subscribe": list(principal.door.subscribe)},
            "databases": dict(principal.databases),
        }


def _pair(pair: Pair) -> dict[str, Any]:
    """What one pair opens at the hub, for each party."""
    provider, recipient = pair
    opened = permissions([pair])
    return {
        "provider": provider,
        "recipient": recipient,
        "open_to": {
            slug: {"publish": party.publish, "subscribe": party.subscribe} for slug, party in sorted(opened.items())
        },
    }
