"""The embedded default with services: one process per locality, ready, restarted, told what it must know."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from lienthong.mesh.v1 import ListServicesRequest
from lienthong.mesh.v1.node_service_pb2_grpc import NodeServiceStub
from mesh.client import open_channel
from mesh.errors import ConfigurationError
from mesh.stack import Happening, Stack

ENVIRONMENT = ("services.environment.service:EnvironmentService",)


async def services_of(stack: Stack, locality: str, token: str) -> tuple[str, list[str]]:
    """Asks the locality's process which services it runs."""
    async with open_channel(stack.grpc_address(locality), stack.tls(locality)) as channel:
        metadata = (("authorization", f"Bearer {token}"),)
        answer = await NodeServiceStub(channel).ListServices(ListServicesRequest(), metadata=metadata, timeout=10)
    return answer.locality, list(answer.services)


async def test_every_locality_serves_and_is_restarted(tmp_path: Path, database_uri: str) -> None:
    """Each process is ready when the stack is, takes its locality's operator token only, and comes back when killed."""
    async with Stack(["da-nang", "hue"], tmp_path, services=ENVIRONMENT, mongodb_uri=database_uri) as stack:
        for slug in stack.localities:
            assert await services_of(stack, slug, stack.token(slug)) == (slug, ["environment"])
        with pytest.raises(grpc.aio.AioRpcError):
            await services_of(stack, "hue", stack.token("da-nang"))

        await stack.child("hue.services").kill()
        await stack.child("hue.services").wait_ready()

        assert await services_of(stack, "hue", stack.token("hue")) == ("hue", ["environment"])

    ends = [event for event in stack.events if event.happening is Happening.STOPPED]
    assert [event.child for event in ends][4:] == ["hue.nats", "da-nang.nats", "hub"]


async def test_a_wrong_setting_stops_the_start_by_name(
    tmp_path: Path, database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that no service knows is named before any of them is started."""
    monkeypatch.setenv("LIENTHONG_ENVIRONMENT__NO_SUCH", "1")

    with pytest.raises(ConfigurationError, match="LIENTHONG_ENVIRONMENT__NO_SUCH"):
        async with Stack(["hue"], tmp_path, services=ENVIRONMENT, mongodb_uri=database_uri):
            pass
