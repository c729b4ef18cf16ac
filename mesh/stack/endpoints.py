"""`endpoints.json`: where a running mesh can be reached, for the `lienthong` command and for you."""

from __future__ import annotations

from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from mesh.errors import ConfigurationError
from mesh.stack.secrets import write_private


class LocalityEndpoints(BaseModel):
    """How to reach one locality."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    grpc: str
    """Address `host:port` of its services."""
    nats: str
    """URL of its nats-server."""
    token: str
    """Operator token: metadata `authorization: Bearer TOKEN`."""
    ca: str
    """PEM file with the authorities to believe, for services and edge."""
    credentials: str
    """Folder of the operator's own certificate, key and passwords: services answer nobody without one."""
    edge: str | None = None
    """URL of the edge, for outsiders: `https://…`; absent when none runs."""


class Endpoints(BaseModel):
    """How to reach a running mesh."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    pid: int
    """Process id of `lienthong up`."""
    mongodb: str
    """Connection string of MongoDB: of ours as a user who only reads."""
    hub: str | None
    """URL of the NATS hub; absent when the bus is not ours."""
    hub_applied: str | None
    """File that says which pairs of localities the hub lets through: `{"pairs": [[PROVIDER, RECIPIENT], …]}`."""
    localities: dict[str, LocalityEndpoints]
    """By slug."""
    processes: dict[str, int]
    """Process ids of the children by name."""

    def write(self, file: Path) -> None:
        """Writes the file, readable by its owner only: it holds passwords and tokens."""
        write_private(file, self.model_dump_json(indent=2) + "\n")


def read(file: Path) -> Endpoints:
    """Reads the endpoints of a running mesh; raises ConfigurationError when none runs there."""
    try:
        endpoints = Endpoints.model_validate_json(file.read_text())
    except FileNotFoundError:
        raise ConfigurationError(
            f"{file} does not exist: no mesh runs there; start one with `lienthong up`, or name its folder with --data"
        ) from None
    except (OSError, ValidationError) as failure:
        raise ConfigurationError(f"{file} cannot be read as endpoints of a mesh: {type(failure).__name__}") from failure
    if not psutil.pid_exists(endpoints.pid):
        raise ConfigurationError(f"the mesh of {file} no longer runs; start it again with `lienthong up`")
    return endpoints
