"""Which RPCs there are, and what opens each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.descriptor import MethodDescriptor

from lienthong.mesh.v1 import node_service_pb2
from mesh.annotations import is_public, method_scope
from mesh.doors.declared import Declared

NODE = node_service_pb2.DESCRIPTOR.services_by_name["NodeService"]
"""The runtime's own contract, which every process serves."""


@dataclass(frozen=True)
class OpenRpc:
    """One RPC and the scope that opens it."""

    service: str
    """Full name of its contract."""
    method: str
    scope: str
    public: bool
    """Whether outsiders may call it through the edge."""
    descriptor: MethodDescriptor


def rpcs(services: Iterable[Declared]) -> list[OpenRpc]:
    """Returns every RPC that a locality with these services answers."""
    contracts = {one.contract.full_name: one.contract for one in services if one.contract} | {NODE.full_name: NODE}
    return [
        OpenRpc(name, method.name, method_scope(method), is_public(method), method)
        for name, contract in sorted(contracts.items())
        for method in contract.methods
    ]
