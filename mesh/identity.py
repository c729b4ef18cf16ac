"""Who a certificate speaks for: its one URI `spiffe://lienthong/<locality>/<principal>` (a SPIFFE ID)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SERVICES: Final = "services"
"""A process that runs all services of a locality, its exchange too."""
EXCHANGE: Final = "exchange"
"""The service that deals with other localities; its log holds their events."""
EDGE: Final = "edge"
"""Envoy, which passes on what outsiders ask."""
OPERATOR: Final = "operator"
"""The `lienthong` command, and `lienthong up` itself."""

_PREFIX: Final = "spiffe://lienthong/"


@dataclass(frozen=True, slots=True)
class Identity:
    """A principal of a locality: a service, the edge, the operator."""

    locality: str
    principal: str

    def __str__(self) -> str:
        return f"{self.principal} of {self.locality}"

    @property
    def uri(self) -> str:
        """Returns the name in a certificate."""
        return f"{_PREFIX}{self.locality}/{self.principal}"


def identity_of(uri: str) -> Identity | None:
    """Returns who that is; None when it is no principal of a locality."""
    locality, _, principal = uri.removeprefix(_PREFIX).partition("/")
    found = Identity(locality, principal)
    known = uri.startswith(_PREFIX) and locality and principal and "/" not in principal
    return found if known else None


def server_name(locality: str) -> str:
    """Returns the DNS name in the certificates of a locality's processes: addresses tell nothing about who answers."""
    return f"{locality}.lienthong.internal"
