"""Documents of the API that the edge hands out, as files that lie ready when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mesh.stack.edge_place import EdgeFiles

_CONTENT_TYPES: Final = {
    "openapi.json": "application/json",
    "asyncapi.json": "application/json",
    "docs.html": "text/html; charset=utf-8",
    "descriptors.pb": "application/x-protobuf",
}


@dataclass(frozen=True, slots=True)
class Document:
    """One document."""

    path: str
    """Of its URL."""
    file: Path
    """Where Envoy reads it."""
    content_type: str


def documents(its_files: EdgeFiles) -> list[Document]:
    """Lists those of the folder; what is not there is not offered."""
    folder = its_files.documents
    return [
        Document(f"/{name.removesuffix('.html')}", its_files.as_read(folder / name), content_type)
        for name, content_type in _CONTENT_TYPES.items()
        if (folder / name).exists()
    ]
