"""Lookups: RPCs another locality may ask, exchange to exchange, where an agreement grants it (ADR-0024).

A contract declares one with `option (lienthong.mesh.v1.method).lookup = true`. The request's field `locality` says whom
to ask; the response's field `withheld` says what the agreement leaves out, so that nothing withheld reads as 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from mesh.annotations import is_lookup, method_scope
from mesh.contracts import service_descriptor
from mesh.errors import ContractError
from mesh.events import sector_of

LOCALITY: Final = "locality"
WITHHELD: Final = "withheld"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*\.v[0-9a-z]+\.[A-Z]\w*/[A-Z]\w*", re.ASCII)
"""Packages of contracts end in their version."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """One RPC that may be asked from elsewhere."""

    name: str
    """`package.Service/Method`."""
    service: str
    """Name of the service that answers it, as `environment`."""
    contract: str
    """`package.Service`."""
    method: str
    scope: str
    """Scope its callers need in their own locality, and the exchange in the answering one."""
    request: type[Message]
    response: type[Message]


def lookup_of(method: MethodDescriptor) -> Lookup | None:
    """Returns the lookup an RPC is, or None. Raises ContractError where it is declared one and cannot be."""
    if not is_lookup(method):
        return None
    if fault := _fault(method):
        raise ContractError(f"{method.full_name} is declared a lookup, but {fault}")
    contract = method.containing_service
    return Lookup(
        name=f"{contract.full_name}/{method.name}",
        service=sector_of(contract.file.package),
        contract=contract.full_name,
        method=method.name,
        scope=method_scope(method),
        request=message_factory.GetMessageClass(method.input_type),
        response=message_factory.GetMessageClass(method.output_type),
    )


def find_rpc(name: str) -> MethodDescriptor | None:
    """Returns the RPC of the full name `package.Service/Method`, or None where no contract here has it."""
    if not _NAME.fullmatch(name):  # what has another shape is not looked for: looking imports
        return None
    contract, _, method = name.partition("/")
    try:
        return service_descriptor(contract).methods_by_name.get(method)
    except ContractError:
        return None


def find_lookup(name: str) -> Lookup | None:
    """Returns the lookup of that full name, or None where no contract here has it or it is none."""
    method = find_rpc(name)
    return None if method is None else lookup_of(method)


def _fault(method: Any) -> str:
    asked, answered = method.input_type.fields_by_name, method.output_type.fields_by_name
    if method.client_streaming or method.server_streaming:
        return "it streams"
    if "request_id" in asked:
        return "it takes a request_id, as writes do; a lookup changes nothing"
    if not _is_text(asked.get(LOCALITY), repeated=False):
        return f"{method.input_type.full_name} has no field `string {LOCALITY}`"
    if not _is_text(answered.get(WITHHELD), repeated=True):
        return f"{method.output_type.full_name} has no field `repeated string {WITHHELD}`"
    return ""


def _is_text(field: Any, *, repeated: bool) -> bool:
    return field is not None and field.type == FieldDescriptor.TYPE_STRING and field.is_repeated == repeated
