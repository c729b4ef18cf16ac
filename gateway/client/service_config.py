"""What gRPC itself does for every call: a deadline, waiting for the gateway, and repeating what may be repeated.

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
    "maxAttempts": 5,  # as many as gRPC makes
    "initialBackoff": "0.3s",
    "backoffMultiplier": 2.5,
    "maxBackoff": "4s",
    "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED"],
}

_Name = dict[str, str]


def service_config(deadline_s: float) -> str:
    """The service config as gRPC takes it: JSON.

    A unary call ends after `deadline_s`, all its tries together; a stream has no end of its own. Reads, and writes
    with a `request_id`, are tried again while the gateway or what stands behind it is away.
    """
    unary = {"timeout": f"{deadline_s:.3f}s", "waitForReady": True}
    methods = [
        {"name": [{}], "waitForReady": True},
        {"name": list(_unary(repeatable=False)), **unary},
        {"name": list(_unary(repeatable=True)), **unary, "retryPolicy": _RETRY},
    ]
    return json.dumps({"methodConfig": methods})


def _unary(*, repeatable: bool) -> Iterator[_Name]:
    return (name for name, may_repeat in _public_methods() if may_repeat == repeatable)


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
