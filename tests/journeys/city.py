"""What a caller sees of one locality of a running stack."""

from __future__ import annotations

from collections import Counter, defaultdict

import grpc

from lienthong.environment.v1.environment_service_pb2_grpc import EnvironmentServiceStub
from lienthong.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from lienthong.health.v1 import ListAdvisoriesRequest
from lienthong.health.v1.health_service_pb2_grpc import HealthServiceStub
from lienthong.mesh.v1 import ReadLogRequest
from lienthong.mesh.v1.node_service_pb2_grpc import NodeServiceStub
from mesh.events import catalogue


class City:
    """Calls the services of a locality with the operator's token."""

    def __init__(self, at):
        self._channel = grpc.aio.insecure_channel(at.grpc)
        self._token = ("authorization", f"Bearer {at.token}")
        self.environment = EnvironmentServiceStub(self._channel)
        self.health = HealthServiceStub(self._channel)
        self.exchange = ExchangeServiceStub(self._channel)
        self.node = NodeServiceStub(self._channel)

    async def call(self, method, request, *metadata):
        return await method(request, metadata=(self._token, *metadata), timeout=20)

    async def advisories(self, state=0):
        request = ListAdvisoriesRequest(state=state, page_size=1000)
        response = await self.call(self.health.ListAdvisories, request)
        assert not response.next_page_token
        return list(response.advisories)

    async def logged(self, service):
        """Messages in a service's log, by the short name of their type."""
        messages = defaultdict(list)
        pages = self.node.ReadLog(ReadLogRequest(service=service), metadata=(self._token,), timeout=60)
        async for page in pages:
            for entry in page.entries:
                event_type = catalogue()[entry.headers["ce-type"]]
                messages[event_type.name.rpartition(".")[2]].append(event_type.cls.FromString(entry.data))
        return messages

    async def close(self):
        await self._channel.close()


def per_station(messages):
    """How many messages each station has."""
    return Counter(message.station_id for message in messages)
