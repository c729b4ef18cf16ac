"""The documents as files, for the edge to serve: three to read, and descriptors for clients without generated code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.api.asyncapi import asyncapi
from gateway.api.contracts import Contracts, installed
from gateway.api.openapi import openapi
from gateway.api.page import page
from mesh.public import PublicContracts


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"


DOCUMENTS: Final[dict[str, tuple[str, Callable[[Contracts], str]]]] = {
    "openapi": ("openapi.json", lambda contracts: _json(openapi(contracts))),
    "asyncapi": ("asyncapi.json", lambda contracts: _json(asyncapi(contracts))),
    "docs": ("docs.html", page),
}
"""By name: the file, and how it is made."""


def document(name: str) -> str:
    """The text of one document of the installed contracts. Raises KeyError for an unknown name."""
    return DOCUMENTS[name][1](installed())


def write_documents(folder: Path) -> list[Path]:
    """Writes all documents into a folder, and `descriptors.pb`; takes about a second."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (file, _) in DOCUMENTS.items():
        (folder / file).write_text(document(name), encoding="utf-8")
    (folder / "descriptors.pb").write_bytes(descriptors())
    return [folder / file for file, _ in DOCUMENTS.values()]


def descriptors() -> bytes:
    """A serialized `google.protobuf.FileDescriptorSet` of the public contracts, without comments."""
    described = PublicContracts().described
    for file in described.file:
        file.ClearField("source_code_info")
    return described.SerializeToString()
