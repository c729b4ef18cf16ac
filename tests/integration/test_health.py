"""Health of a process, as an orchestrator asks for it."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from lienthong.mesh.v1 import ListServicesRequest
from lienthong.mesh.v1.node_service_pb2_grpc import NodeServiceStub
from mesh.stack.ports import free_port
from tests.hosts import Home
from tests.trial.services import TrialService


async def test_a_port_for_probes_answers_health_and_nothing_else(home: Home) -> None:
    """In the clear: a probe brings neither certificate nor token."""
    port = free_port()
    host = await home.start(TrialService, health_port=port)

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for service in ("", "trial"):
            answer = await HealthStub(channel).Check(HealthCheckRequest(service=service), timeout=5)
            assert answer.status == HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError, match="UNIMPLEMENTED"):
            await NodeServiceStub(channel).ListServices(ListServicesRequest(), timeout=5)

    await home.stop(host)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
            await HealthStub(channel).Check(HealthCheckRequest(), timeout=5)
