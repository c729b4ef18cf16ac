"""Which services are installed here: those of the entry-point group `lienthong.services`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Final

GROUP: Final = "lienthong.services"


def installed_services() -> dict[str, str]:
    """Services by name, as `module:Class`."""
    return {point.name: point.value for point in sorted(entry_points(group=GROUP))}
