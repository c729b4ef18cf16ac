"""Contracts of a test's own, written as protobuf source."""

import itertools
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message
from grpc_tools import protoc

from lienthong.mesh.v1 import annotations_pb2

PROTOS = Path(__file__).parents[1] / "protos"
_HEADER = """
syntax = "proto3";
package {package};
import "google/protobuf/duration.proto";
import "google/protobuf/timestamp.proto";
import "lienthong/mesh/v1/annotations.proto";
"""
_numbers = itertools.count(1)


def compile_contract(source: str, folder: Path, *, package: str = "") -> dict[str, type[Message]]:
    """Message classes of a contract by short name; without a package it gets one no other test has.

    Option names may be shortened: `(rules)`, `(event)`, `(sensitivity)`, `(method)`.
    """
    assert annotations_pb2.DESCRIPTOR.name  # the pool must know it before the contract that imports it
    package = package or f"lienthong.tests{next(_numbers)}.v1"
    for option in ("rules", "event", "sensitivity", "method"):
        source = source.replace(f"({option})", f"(lienthong.mesh.v1.{option})")
    name = package.replace(".", "_")
    (folder / f"{name}.proto").write_text(_HEADER.format(package=package) + source)
    described = folder / f"{name}.pb"
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    arguments = [f"-I{folder}", f"-I{PROTOS}", f"-I{well_known}", f"--descriptor_set_out={described}", f"{name}.proto"]
    assert protoc.main(["protoc", *arguments]) == 0
    [file] = FileDescriptorSet.FromString(described.read_bytes()).file
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    names = [message.name for message in file.message_type]
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in names}
