"""What a server says of its own services: gRPC reflection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from mesh.cli.exits import UsageError
from mesh.errors import Unavailable, from_rpc_error
from mesh.rpc import snake_case

_OF_GRPC_ITSELF: Final = "grpc."
_TIMEOUT_S: Final = 10.0


class Reflected:
    """The services of one server, without having their contracts installed."""

    def __init__(self, channel: grpc.Channel) -> None:
        """Raises a MeshError when the server does not answer."""
        try:
            grpc.channel_ready_future(channel).result(timeout=_TIMEOUT_S)
            self._database = ProtoReflectionDescriptorDatabase(channel)
            self._names = sorted(self._database.get_services())
        except grpc.FutureTimeoutError:
            raise Unavailable(f"the server does not answer: {_why_not(channel)}") from None
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        self.pool = descriptor_pool.DescriptorPool(self._database)

    def methods(self) -> list[MethodDescriptor]:
        """Every method, by service and name, without those of gRPC itself."""
        return [method for service in self._services() for method in service.methods]

    def method(self, name: str) -> MethodDescriptor:
        """The method meant by `SERVICE.METHOD`; the service may be named short, as `health` or `HealthService`.

        Raises UsageError naming what there is.
        """
        service_name, _, method_name = name.replace("/", ".").rpartition(".")
        services = [service for service in self._services() if _is_meant(service, service_name)]
        if not services:
            raise UsageError(f"no service {service_name or name} here; there are {_list(self._short_names())}")
        return method_of(services[0], method_name)

    def message_class(self, descriptor: Any) -> type[Any]:
        """Class for messages of a type the server has."""
        return message_factory.GetMessageClass(descriptor)

    def _services(self) -> Iterable[ServiceDescriptor]:
        for name in self._names:
            if not name.startswith(_OF_GRPC_ITSELF):
                yield self.pool.FindServiceByName(name)

    def _short_names(self) -> list[str]:
        return [service.name for service in self._services()]


def _why_not(channel: grpc.Channel) -> str:
    """What gRPC says about a connection that does not come about."""
    health: Any = HealthStub(channel)
    try:
        health.Check(HealthCheckRequest(), timeout=1)
    except grpc.RpcError as error:
        return from_rpc_error(error).message
    return "it was too slow"


def method_of(service: ServiceDescriptor, name: str) -> MethodDescriptor:
    """The method of that name, which may be written as in Python. Raises UsageError naming those there are."""
    for method in service.methods:
        if snake_case(method.name) == snake_case(name):
            return method
    raise UsageError(f"{service.name} has no method {name}; it has {_list(method.name for method in service.methods)}")


def _is_meant(service: ServiceDescriptor, name: str) -> bool:
    short = service.name.removesuffix("Service")
    return name in (service.full_name, service.name, short, snake_case(short))


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
