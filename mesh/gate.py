"""`Gate`: what the certificate of a connection opens, whatever token comes through it.

| certificate of | opens |
| --- | --- |
| this locality's services and operator | every RPC its token has the scope for |
| this locality's edge | public RPCs: those of services with a `google.api.http` rule |
| another locality's exchange | what exchanges ask of each other, with a token of that same locality |
| anybody else | nothing |
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor

from mesh.annotations import is_public, method_scope
from mesh.auth import PEER_SCOPES, Caller
from mesh.errors import PermissionDenied, Unauthenticated
from mesh.identity import EDGE, EXCHANGE, SERVICES, Identity, identity_of

_PEERS: Final = frozenset({EXCHANGE, SERVICES})


class Gate:
    """The gate of one locality.

    Answers are remembered by name in the certificate, never by address: the port of a connection that ended may be
    the next one's. To ask gRPC for the name takes 4 µs.
    """

    def __init__(self, locality: str) -> None:
        self._locality = locality
        self._admitted: dict[tuple[bytes, MethodDescriptor], Identity] = {}

    def admit(self, context: Any, method: MethodDescriptor) -> Identity:
        """Who calls, by the certificate. Raises `PermissionDenied` unless that may call the method with some token."""
        names = context.auth_context().get("peer_spiffe_id", (b"",))
        known = self._admitted.get((names[0], method))
        if known is None:
            known = self._admitted[names[0], method] = self._judge(names[0].decode("ascii", "replace"), method)
        return known

    def check_token(self, identity: Identity, caller: Caller) -> None:
        """Raises `PermissionDenied` when another locality brings a token that is not its own."""
        if identity.locality not in (self._locality, caller.locality):
            raise PermissionDenied(f"a token of {caller.locality} does not come from {identity}")

    def _judge(self, name: str, method: MethodDescriptor) -> Identity:
        identity = identity_of(name)
        if identity is None:
            raise Unauthenticated("the certificate names no principal of a locality")
        if not self._opens(identity, method):
            raise PermissionDenied(f"{method.full_name} is closed to the certificate of {identity}")
        return identity

    def _opens(self, identity: Identity, method: MethodDescriptor) -> bool:
        if identity.locality != self._locality:
            return identity.principal in _PEERS and method_scope(method) in PEER_SCOPES
        return identity.principal != EDGE or is_public(method)
