"""`lienthong api`: the documents for outsiders. The gateway makes them; it is found by entry point."""

from __future__ import annotations

import sys
from enum import StrEnum
from importlib.metadata import entry_points
from typing import Annotated, Final

import typer

from mesh.cli.exits import UsageError

GROUP: Final = "lienthong.api"


class Document(StrEnum):
    """What outsiders read."""

    OPENAPI = "openapi"
    ASYNCAPI = "asyncapi"
    DOCS = "docs"


def api(
    document: Annotated[Document, typer.Argument(help="OpenAPI 3.1, AsyncAPI 3.0, or the page for people.")],
) -> None:
    """Print what the edge serves at /openapi.json, /asyncapi.json or /docs.

    Example: lienthong api openapi > openapi.json
    """
    for point in entry_points(group=GROUP, name="document"):
        sys.stdout.write(point.load()(document.value))
        return
    raise UsageError("the gateway is not installed here, and it is what makes the documents")
