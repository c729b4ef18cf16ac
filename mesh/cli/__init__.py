"""The `lienthong` command: what operators, sector teams and tests do with a mesh from a terminal."""

from __future__ import annotations

from mesh.cli.app import app, main

__all__ = ["app", "main"]
