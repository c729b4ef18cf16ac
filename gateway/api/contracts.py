"""The contracts as the wheel describes them, comments included."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from google.api import annotations_pb2 as http_annotations
from google.api.http_pb2 import HttpRule
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from gateway.api.comments import comments_of
from mesh.annotations import is_event, is_public
from mesh.public import descriptors_file


class Contracts:
    """Services, events and comments of one descriptor set."""

    def __init__(self, described: FileDescriptorSet) -> None:
        self.pool = descriptor_pool.DescriptorPool()
        self._comments: dict[str, str] = {}
        self._services: list[ServiceDescriptor] = []
        self._messages: list[Any] = []
        for file in described.file:
            self._add(file)

    def _add(self, file: FileDescriptorProto) -> None:
        self.pool.AddSerializedFile(file.SerializeToString())
        self._comments.update(comments_of(file))
        names = self.pool.FindFileByName(file.name)
        self._services.extend(names.services_by_name.values())
        self._messages.extend(names.message_types_by_name.values())

    def public_services(self) -> list[ServiceDescriptor]:
        """Those the edge routes to: any of their RPCs has an HTTP rule. By name."""
        public = (service for service in self._services if any(map(is_public, service.methods)))
        return sorted(public, key=lambda service: service.full_name)

    def public_methods(self) -> Iterator[MethodDescriptor]:
        """All RPCs of public services, also those that speak gRPC only."""
        for service in self.public_services():
            yield from service.methods

    def events(self) -> list[Any]:
        """Every message marked as an event, by name."""
        return sorted(filter(is_event, self._messages), key=lambda message: str(message.full_name))

    def message(self, name: str) -> Any:
        """The message type of that full name; KeyError when there is none."""
        return self.pool.FindMessageTypeByName(name)

    def method(self, name: str) -> MethodDescriptor:
        """The RPC of that full name, as `lienthong.health.v1.HealthService.GetAdvisory`."""
        service, _, method = name.rpartition(".")
        found: MethodDescriptor = self.pool.FindServiceByName(service).methods_by_name[method]
        return found

    def comment(self, full_name: str) -> str:
        """What the contract says above a service, RPC, message, field, enum or value; may be empty."""
        return self._comments.get(full_name, "")

    def summary(self, full_name: str) -> str:
        """The first sentence of the comment, on one line."""
        return first_sentence(self.comment(full_name))


@cache
def installed() -> Contracts:
    """The contracts of this installation."""
    return Contracts(FileDescriptorSet.FromString(descriptors_file().read_bytes()))


def http_rule(method: Any) -> HttpRule:
    """How an RPC is called over HTTP; empty when it speaks gRPC only."""
    rule: HttpRule = method.GetOptions().Extensions[http_annotations.http]
    return rule


def has_http_rule(method: Any) -> bool:
    """Whether an RPC can be called with JSON."""
    return bool(method.GetOptions().HasExtension(http_annotations.http))


def first_sentence(text: str) -> str:
    """Up to the first full stop or semicolon that ends a clause; without it."""
    line = " ".join(text.split())
    ends = [found for mark in (". ", "; ") if (found := line.find(mark)) >= 0]
    return line[: min(ends)] if ends else line.removesuffix(".")
