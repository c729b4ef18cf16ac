"""Finds service classes: installed ones by entry point, others as `module:Class`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from mesh.cli.exits import UsageError
from mesh.installed import installed_services


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
    module_name, _, class_name = place.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        service = getattr(importlib.import_module(module_name), class_name)
    except ImportError as error:
        raise UsageError(f"{place}: cannot be imported: {error}") from error
    except AttributeError:
        raise UsageError(f"{place}: {module_name} has no {class_name}") from None
    if not isinstance(service, type) or not isinstance(getattr(service, "name", None), str):
        raise UsageError(f"{place}: is no service class, that is a class with a `name`")
    return service
