"""The process that runs all services of one locality."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from mesh.client import open_channel
from mesh.config import load
from mesh.stack.keys import Keys
from mesh.stack.process import Child, ChildEvent
from mesh.tls import Tls

_READY_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 30.0
"""More than `runtime.drain_timeout_s`: services finish what they have begun."""


def service_settings(
    locality: str,
    *,
    data: Path,
    mongodb_uri: str,
    nats_url: str,
    addresses: Mapping[str, str],
    keys: Keys,
    credentials: Path,
) -> dict[str, str]:
    """Returns what a locality's process must be told, as environment variables (see `mesh.config.Settings`).

    `addresses` are `host:port` of the processes of all localities, `credentials` is the folder of the process's own.
    """
    host, port = addresses[locality].split(":")
    return {
        "LIENTHONG_LOCALITY": locality,
        "LIENTHONG_DATA_DIR": str(data),
        "LIENTHONG_MONGODB_URI": mongodb_uri,
        "LIENTHONG_NATS_URL": nats_url,
        "LIENTHONG_CREDENTIALS_DIR": str(credentials),
        "LIENTHONG_INSECURE": "false",
        "LIENTHONG_GRPC_HOST": host,
        "LIENTHONG_GRPC_PORT": port,
        "LIENTHONG_PEERS": json.dumps({slug: address for slug, address in addresses.items() if slug != locality}),
        "LIENTHONG_AUTH__PRIVATE_KEY_FILE": str(keys.file(locality)),
        "LIENTHONG_AUTH__ISSUERS": json.dumps(_issuers_of_the_user() | keys.issuers(addresses)),
    }


def _issuers_of_the_user() -> dict[str, dict[str, str]]:
    issuers = load().auth.issuers
    return {name: issuer.model_dump(mode="json", exclude_none=True) for name, issuer in issuers.items()}


def service_child(
    locality: str,
    services: Sequence[str],
    settings: Mapping[str, str],
    tls: Tls,
    *,
    log: Path,
    report: Callable[[ChildEvent], None],
) -> Child:
    """Returns the process as a child; every other setting is what the user set for us. `tls` is how to ask it."""
    address = f"{settings['LIENTHONG_GRPC_HOST']}:{settings['LIENTHONG_GRPC_PORT']}"
    return Child(
        f"{locality}.services",
        [sys.executable, "-m", "mesh.cli", "serve", *services, "--locality", locality],
        log=log,
        env=os.environ | dict(settings),
        ready=lambda: serves(address, tls),
        ready_timeout_s=_READY_TIMEOUT_S,
        stop_timeout_s=_STOP_TIMEOUT_S,
        report=report,
    )


async def serves(address: str, tls: Tls) -> bool:
    """Tells whether the gRPC server says it is SERVING."""
    async with open_channel(address, tls) as channel:
        try:
            answer = await channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=HealthCheckRequest.SerializeToString,
                response_deserializer=HealthCheckResponse.FromString,
            )(HealthCheckRequest(), timeout=1)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == HealthCheckResponse.SERVING)
