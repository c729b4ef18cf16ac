"""What gRPC itself does for every call: waiting for the gateway, and repeating what may be repeated.

The format is gRPC's service config (gRFC A6 on retries); which RPCs may be repeated is read from the contracts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Final

from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

_RETRY: Final = {
    "maxAttempts": 5,  # as many as gRPC makes; `patience.py` makes more of them
    "initialBackoff": "0.3s",
    "backoffMultiplier": 2.5,
    "maxBackoff": "4s",
    "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED"],
}

_Name = dict[str, str]


def service_config() -> str:
    """The service config as gRPC takes it: JSON.

    Reads, and writes with a `request_id`, are tried again while the gateway or what stands behind it is away.
    """
    # No `timeout`: gRPC 1.85 counts one from up to 2 s before the call (3 s were over after 1.05 s).
    repeated = [name for name, may_repeat in _public_methods() if may_repeat]
    methods = [
        {"name": [{}], "waitForReady": True},
        {"name": repeated, "waitForReady": True, "retryPolicy": _RETRY},
    ]
    return json.dumps({"methodConfig": methods})


@cache
def repeatable(path: str) -> bool:
    """Whether the RPC `/package.Service/Method` is one that is tried again."""
    return path in {f"/{name['service']}/{name['method']}" for name, repeated in _public_methods() if repeated}


@cache
def _public_methods() -> tuple[tuple[_Name, bool], ...]:
    """Unary RPCs a gateway serves, each with whether sending it twice does no more than once."""
    contracts = FileDescriptorSet.FromString((files("lienthong") / "descriptors.pb").read_bytes()).file
    with_request_id = frozenset(_with_request_id(contracts))
    return tuple(
        (
            {"service": f"{file.package}.{service.name}", "method": method.name},
            bool(method.options.Extensions[annotations_pb2.http].get) or method.input_type in with_request_id,
        )
        for file in contracts
        for service in file.service
        for method in service.method
        if method.options.HasExtension(annotations_pb2.http)
        and not (method.client_streaming or method.server_streaming)
    )


def _with_request_id(contracts: Iterable[FileDescriptorProto]) -> Iterator[str]:
    for file in contracts:
        for message in file.message_type:
            if any(field.name == "request_id" for field in message.field):
                yield f".{file.package}.{message.name}"
