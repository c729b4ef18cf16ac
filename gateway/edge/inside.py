"""The listener inside the process, which the edge itself is the only client of."""

from __future__ import annotations

from typing import Any, Final

INSIDE: Final = "inside"
"""Its name, and that of the cluster by which it is reached."""


def cluster() -> dict[str, Any]:
    """Returns the cluster."""
    address = {"envoy_internal_address": {"server_listener_name": INSIDE}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {"name": INSIDE, "type": "STATIC", "load_assignment": {"cluster_name": INSIDE, "endpoints": endpoints}}
