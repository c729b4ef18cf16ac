"""Methods by the names that journeys call them by, found in the installed contracts."""

from __future__ import annotations

from google.protobuf.descriptor import MethodDescriptor

from mesh.cli.exits import UsageError
from mesh.cli.reflection import method_of
from mesh.contracts import contract_name, service_descriptor
from mesh.errors import ContractError


def method_named(name: str) -> MethodDescriptor:
    """The method meant by `environment.RecordStages` or by its full name. Raises UsageError."""
    service, _, method = name.replace("/", ".").rpartition(".")
    try:
        contract = service_descriptor(service if "." in service else contract_name(service))
    except ContractError as error:
        raise UsageError(str(error)) from None
    found = method_of(contract, method)
    if found.client_streaming or found.server_streaming:
        raise UsageError(f"{found.name} streams; a journey makes calls of one request and one answer")
    return found
