"""Contracts by name: which service of which package a name means."""

from __future__ import annotations

import contextlib
import importlib

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor

from mesh.errors import ContractError


def contract_name(service: str) -> str:
    """Full name of the contract a service of that name fulfils: `lienthong.health.v1.HealthService`."""
    title = "".join(part.title() for part in service.split("_"))
    return f"lienthong.{service}.v1.{title}Service"


def service_descriptor(contract: str) -> ServiceDescriptor:
    """Raises `ContractError` when no installed contract has the service of that full name."""
    with contextlib.suppress(ImportError, ValueError):
        importlib.import_module(contract.rpartition(".")[0])
    try:
        return descriptor_pool.Default().FindServiceByName(contract)
    except KeyError:
        raise ContractError(f"{contract}: no installed contract has this service") from None
