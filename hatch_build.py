"""Generates the Python code of protos/ into build/gen, for wheels and editable installs alike.

`python hatch_build.py` does the same by hand; generated code is never committed.
"""

import shutil
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import google.rpc
import grpc_tools
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
PROTOS = ROOT / "protos"
GENERATED = ROOT / "build" / "gen"
# Written by hand; it is part of the package that callers import contracts from.
CLIENT = ROOT / "gateway" / "client"

WELL_KNOWN_TYPES = Path(grpc_tools.__file__).parent / "_proto"
GOOGLE_APIS = Path(next(iter(google.rpc.__path__))).parents[1]
IMPORTS = ROOT / "build" / "imports"

# What an error carries (google.rpc.Status with details) is part of every contract, though none imports it.
ERRORS = ("google/rpc/status.proto", "google/rpc/error_details.proto")

HEADER = '"""Generated from protos/{folder} by hatch_build.py."""\n'


class ContractsBuildHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own configuration type
    """Generates before hatchling collects files; a wheel takes the code along, an editable install points at it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Hatchling's entry point; `version` is `standard` or `editable`."""
        generate()
        if version == "standard":
            build_data["force_include"][str(GENERATED / "lienthong")] = "lienthong"


def generate() -> None:
    """Replaces build/gen as a whole, so a removed contract leaves nothing behind."""
    fresh = GENERATED.with_name("gen.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    files = _compile(fresh)
    _write_packages(fresh, files)
    (fresh / "lienthong" / "client").symlink_to(CLIENT)
    shutil.rmtree(GENERATED, ignore_errors=True)
    fresh.rename(GENERATED)


def _compile(target: Path) -> list[FileDescriptorProto]:
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    _protoc(f"--python_out={target}", f"--pyi_out={target}", *sources)
    described = _describe(target / "lienthong" / "descriptors.pb", sources)
    _copy_imports(described)
    files = [file for file in described if file.name in sources]
    services = [file.name for file in files if file.service]
    _protoc(f"--plugin=protoc-gen-mypy_grpc={_typing_plugin()}", f"--mypy_grpc_out=quiet:{target}", *services)
    _protoc(f"--grpc_python_out={target}", *services)
    return files


def _typing_plugin() -> str:
    """mypy-protobuf, which types the stubs: beside the interpreter, or on the path of a build in isolation."""
    beside = Path(sys.executable).with_name("protoc-gen-mypy_grpc")
    return str(beside) if beside.exists() else shutil.which(beside.name) or sys.exit(f"{beside.name} is not installed")


def _describe(place: Path, sources: list[str]) -> list[FileDescriptorProto]:
    """Writes all that the edge and the API documents need to know of the contracts: imports and comments too."""
    everything = f"--descriptor_set_out={place}", "--include_imports", "--include_source_info"
    _protoc(*everything, *sources, *ERRORS)
    return list(FileDescriptorSet.FromString(place.read_bytes()).file)


def _copy_imports(described: list[FileDescriptorProto]) -> None:
    """Puts what protos/ imports from Google beside it, for buf: it knows only google/protobuf by itself."""
    shutil.rmtree(IMPORTS, ignore_errors=True)
    for name in (file.name for file in described if file.name.startswith(("google/api/", "google/rpc/"))):
        copy = IMPORTS / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(GOOGLE_APIS / name, copy)


def _protoc(*arguments: str) -> None:
    includes = [f"-I{folder}" for folder in (PROTOS, GOOGLE_APIS, WELL_KNOWN_TYPES)]
    if protoc.main(["protoc", *includes, *arguments]) != 0:
        sys.exit("protoc refused protos/; its message stands above")


def _write_packages(target: Path, files: list[FileDescriptorProto]) -> None:
    """Makes each folder a package whose leaves re-export every message, enum and extension by name."""
    for folder in (path for path in target.rglob("*") if path.is_dir()):
        place = folder.relative_to(target).as_posix()
        own = [file for file in files if Path(file.name).parent.as_posix() == place]
        (folder / "__init__.py").write_text(HEADER.format(folder=place) + "".join(_reexports(own)))
    (target / "lienthong" / "py.typed").touch()


def _reexports(files: list[FileDescriptorProto]) -> Iterator[str]:
    names = {f"{file.name.removesuffix('.proto').replace('/', '.')}_pb2": sorted(_public(file)) for file in files}
    if not names:
        return
    yield "\n"
    for module, exported in sorted(names.items()):
        yield f"from {module} import (\n" + "".join(f"    {name},\n" for name in exported) + ")\n"
    yield "\n__all__ = [\n"
    yield from (f'    "{name}",\n' for name in sorted(chain.from_iterable(names.values())))
    yield "]\n"


def _public(file: FileDescriptorProto) -> Iterator[str]:
    yield from (message.name for message in file.message_type)
    yield from (extension.name for extension in file.extension)
    for enum in file.enum_type:
        yield enum.name
        yield from (value.name for value in enum.value)


if __name__ == "__main__":
    generate()
