"""Reflection for outsiders: public services and what they need, nothing else.

The server's own reflection tells everything, internal services too, to whoever is inside. This one lies on a path of
its own, to which the edge sends the reflection calls that reach it; v1 and v1alpha of the protocol are the same on the
wire.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from typing import Any, Final

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from mesh.public import PublicContracts

SERVICE: Final = "lienthong.mesh.PublicReflection"
"""Where the edge sends `grpc.reflection.v1.ServerReflection` and `grpc.reflection.v1alpha.ServerReflection`."""

_STANDARD: Final = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


def handlers() -> grpc.GenericRpcHandler:
    """gRPC handlers of the reflection for outsiders."""
    handler = grpc.stream_stream_rpc_method_handler(
        _answer,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(SERVICE, {"ServerReflectionInfo": handler})


async def _answer(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
    async for response in _servicer().ServerReflectionInfo(requests, context):
        yield response


@cache
def _servicer() -> Any:
    """Made when first asked: most processes never are."""
    contracts = PublicContracts()
    names = (*_STANDARD, *(service.full_name for service in contracts.services))
    return reflection.aio.ReflectionServicer(names, pool=contracts.pool)
