"""Comments of a .proto file by the full name of what stands below them.

protoc keeps comments apart, under paths of field numbers of `FileDescriptorProto`
(https://protobuf.com/docs/descriptors#source-code-info-paths).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)

_MEMBERS: dict[type[Any], tuple[str, ...]] = {
    FileDescriptorProto: ("message_type", "enum_type", "service"),
    DescriptorProto: ("field", "nested_type", "enum_type", "oneof_decl"),
    EnumDescriptorProto: ("value",),
    ServiceDescriptorProto: ("method",),
}


def comments_of(file: FileDescriptorProto) -> dict[str, str]:
    """Comments by full name, without the spaces that indent them."""
    said = {tuple(location.path): _unindented(location.leading_comments) for location in file.source_code_info.location}
    return {name: said[path] for path, name in _named(file, (), file.package) if said.get(path)}


def _named(parent: Any, path: tuple[int, ...], scope: str) -> Iterator[tuple[tuple[int, ...], str]]:
    for member in _MEMBERS.get(type(parent), ()):
        number = parent.DESCRIPTOR.fields_by_name[member].number
        children: Sequence[Any] = getattr(parent, member)
        for index, child in enumerate(children):
            here, name = (*path, number, index), f"{scope}.{child.name}"
            yield here, name
            yield from _named(child, here, name)


def _unindented(comment: str) -> str:
    return "\n".join(line.removeprefix(" ").rstrip() for line in comment.strip("\n").split("\n")).strip()
