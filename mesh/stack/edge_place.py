"""Where an edge stands: what whoever starts it tells whoever configures it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mesh.config import IssuerSettings


@dataclass(frozen=True, slots=True)
class EdgePlace:
    """The surroundings of the edge of one locality."""

    locality: str
    host: str
    """Address it listens on."""
    port: int
    services: str
    """Address `host:port` of the services; empty where each has one of its own."""
    keys: Path | str
    """JWKS with the keys the locality signs tokens with: a file, replaced in one step when they change, or a URL."""
    credentials: Path
    """Folder with `tls.pem`, `tls-key.pem` and `ca.pem`, each replaced in one step when it is renewed."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Addresses of services that have one of their own, by name."""
    issuers: Mapping[str, IssuerSettings] = field(default_factory=dict)
    """Who else may sign tokens, by the name in their claim `iss`; by default those of the settings."""
    collector: str | None = None
    """OTLP/gRPC collector that takes spans, `http://host:port`; by default that of the settings."""


@dataclass(frozen=True, slots=True)
class EdgeFiles:
    """Files of one edge."""

    folder: Path
    """Where its configuration is written."""
    documents: Path
    """Folder with `openapi.json`, `asyncapi.json` and `docs.html`; what is not there is not offered."""
    admin: Path
    """Unix socket of Envoy's own administration. Whoever opens it can do anything to the edge."""
    at: Path | None = None
    """Where `folder` lies when Envoy runs, if it runs elsewhere. Then all it reads of ours is in it."""

    def as_read(self, file: Path) -> Path:
        """Returns the path by which Envoy reads one of these files."""
        return file if self.at is None else self.at / file.relative_to(self.folder)
