"""Which services outsiders may call: those with a `google.api.http` rule. All others are for the mesh itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from mesh.annotations import is_public

_ERRORS: Final = "google.rpc"
"""What an error carries belongs to every contract, though none imports it."""


def descriptors_file() -> Path:
    """Returns the file that describes every contract and what it imports; `hatch_build.py` makes it."""
    return Path(str(files("lienthong").joinpath("descriptors.pb")))


class PublicContracts:
    """What an outsider has to know, and no more."""

    def __init__(self, described: FileDescriptorSet | None = None) -> None:
        """By default those that are installed."""
        known = {file.name: file for file in (described or _installed()).file}
        public = [service for service in _services(known.values()) if any(map(is_public, service.methods))]
        wanted: dict[str, FileDescriptorProto] = {}
        for file in known.values():
            if file.package in (_ERRORS, *(service.file.package for service in public)):
                _take(file, known, wanted)
        self.described = FileDescriptorSet(file=wanted.values())
        """Files of packages with a public service, and their imports, each after what it imports."""
        self.pool = _pool(wanted.values())
        self.services = tuple(self.pool.FindServiceByName(name) for name in sorted(s.full_name for s in public))
        """By name. One URL opens a service as a whole: streams that JSON cannot carry are for gRPC."""


def _installed() -> FileDescriptorSet:
    return FileDescriptorSet.FromString(descriptors_file().read_bytes())


def _services(described: Iterable[FileDescriptorProto]) -> list[Any]:
    pool = _pool(described)
    names = (f"{file.package}.{service.name}" for file in described for service in file.service)
    return [pool.FindServiceByName(name) for name in names]


def _take(
    file: FileDescriptorProto, known: Mapping[str, FileDescriptorProto], wanted: dict[str, FileDescriptorProto]
) -> None:
    for name in file.dependency:
        if name not in wanted:
            _take(known[name], known, wanted)
    wanted[file.name] = file


def _pool(described: Iterable[FileDescriptorProto]) -> DescriptorPool:
    pool = DescriptorPool()
    for file in described:
        pool.AddSerializedFile(file.SerializeToString())
    return pool
