"""Finds service classes: installed ones by entry point, others as `module:Class`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mesh.cli.exits import UsageError
from mesh.errors import ConfigurationError
from mesh.installed import installed_services, service_class


def find(wanted: Sequence[str]) -> list[type[Any]]:
    """Loads service classes. Raises UsageError naming the one that cannot be had."""
    known = installed_services()
    found = [_load(_place(name, known)) for name in wanted]
    names = [service.name for service in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"service {min(twice)} is named twice")
    return found


def _place(wanted: str, known: dict[str, str]) -> str:
    if ":" in wanted:
        return wanted
    if wanted not in known:
        raise UsageError(
            f"no service {wanted} is installed (installed: {', '.join(known) or 'none'}); "
            "one of your own is named as module:Class"
        )
    return known[wanted]


def _load(place: str) -> type[Any]:
    try:
        return service_class(place)
    except ConfigurationError as error:
        raise UsageError(str(error)) from error
