"""Which services are installed here: those of the entry-point group `lienthong.services`."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.metadata import entry_points
from typing import Any, Final

from mesh.errors import ConfigurationError

GROUP: Final = "lienthong.services"


def installed_services() -> dict[str, str]:
    """Services by name, as `module:Class`."""
    return {point.name: point.value for point in sorted(entry_points(group=GROUP))}


def service_class(place: str) -> type[Any]:
    """Loads a service class from `module:Class`. Raises ConfigurationError saying why it cannot be had."""
    module_name, _, class_name = place.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        service = getattr(importlib.import_module(module_name), class_name)
    except ImportError as error:
        raise ConfigurationError(f"{place}: cannot be imported: {error}") from error
    except AttributeError:
        raise ConfigurationError(f"{place}: {module_name} has no {class_name}") from None
    if not isinstance(service, type) or not isinstance(getattr(service, "name", None), str):
        raise ConfigurationError(f"{place}: is no service class, that is a class with a `name`")
    return service
