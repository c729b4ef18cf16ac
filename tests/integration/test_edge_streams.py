"""Streams, times and second tries at the edge, before a service that does as it is told."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import httpx
import pytest

from gateway.edge.configuration import write
from gateway.edge.settings import EdgeSettings
from lienthong.environment.v1 import (
    ListStationsRequest,
    ListStationsResponse,
    RegisterStationRequest,
    RegisterStationResponse,
)
from lienthong.environment.v1.environment_service_pb2_grpc import (
    EnvironmentServiceServicer,
    EnvironmentServiceStub,
    add_EnvironmentServiceServicer_to_server,
)
from lienthong.gateway.v1 import CloudEvent, SubscribeResponse
from lienthong.gateway.v1.event_gateway_service_pb2_grpc import EventGatewayServicer, add_EventGatewayServicer_to_server
from mesh import auth
from mesh.certificate_files import CertificateFiles
from mesh.stack.certificates import Certificates
from mesh.stack.edge import EdgeCommand, edge_child
from mesh.stack.edge_place import EdgeFiles, EdgePlace
from mesh.stack.keys import Keys
from mesh.stack.ports import free_port
from mesh.tls import server_credentials
from tests.conftest import Background
from tests.edges import STATIONS, bearer, station_message

SUBSCRIBE = "/events/v1/events:subscribe"
SILENT_S = 1.5
"""Longer than `idle_timeout_s` below."""


class Told(EnvironmentServiceServicer, EventGatewayServicer):
    """A service that does as it is told."""

    def __init__(self) -> None:
        self.failures = 0
        """Calls that still fail."""
        self.calls = 0
        self.hangs = False
        self.released = threading.Event()

    def ListStations(self, request, context):
        return self._answer(context, ListStationsResponse())

    def RegisterStation(self, request, context):
        return self._answer(context, RegisterStationResponse(station=request.station))

    def _answer(self, context, answer):
        self.calls += 1
        if self.hangs:
            self.released.wait(10)
        elif self.failures:
            self.failures -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "told to fail")
        return answer

    def Subscribe(self, request, context):
        yield SubscribeResponse(cursor="0")
        self.released.wait(SILENT_S)
        yield SubscribeResponse(cursor="1", event=CloudEvent(id="first"))


class Door:
    """The edge before it."""

    def __init__(self, place: EdgePlace, ca: Path, token: str) -> None:
        self.url, self.ca, self.token = f"https://localhost:{place.port}", ca, token
        self.address = f"localhost:{place.port}"

    def http(self, **headers: str) -> httpx.Client:
        context = ssl.create_default_context(cafile=self.ca)
        authorized = {"authorization": f"Bearer {self.token}"} | headers
        return httpx.Client(base_url=self.url, verify=context, headers=authorized, timeout=10)

    @contextmanager
    def environment(self) -> Iterator[EnvironmentServiceStub]:
        with grpc.secure_channel(self.address, grpc.ssl_channel_credentials(self.ca.read_bytes())) as channel:
            yield EnvironmentServiceStub(channel)


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def door(background: Background, tmp_path_factory: pytest.TempPathFactory, told: Told) -> Iterator[Door]:
    """An edge that is quick to lose patience, and the service behind it."""
    folder = tmp_path_factory.mktemp("door")
    certificates = Certificates(folder, ["hue"])
    certificates.keep()
    server, port = _served(told, CertificateFiles(certificates.credentials("hue") / "tls"))
    keys = Keys(folder / "keys")
    place = EdgePlace(
        locality="hue",
        host="127.0.0.1",
        port=free_port(),
        services=f"127.0.0.1:{port}",
        keys=keys.jwks_file("hue"),
        credentials=certificates.folder("hue", "edge"),
    )
    its_files = EdgeFiles(folder / "edge", folder / "documents", folder / "admin")
    command = EdgeCommand(write(place, its_files, EdgeSettings(idle_timeout_s=1, call_timeout_s=0.5)))
    child = edge_child("hue", command, its_files.admin, log=folder / "log", report=lambda event: None)
    background.run(child.start())
    yield Door(place, certificates.ca, _token(keys))
    background.run(child.stop())
    server.stop(grace=None)


@pytest.fixture(autouse=True)
def _obedient(told: Told) -> Iterator[None]:
    told.calls, told.failures, told.hangs = 0, 0, False
    told.released.clear()
    yield
    told.released.set()


def test_a_stream_in_json_is_a_line_for_each_message(door: Door) -> None:
    """As they come, and also after a silence longer than other calls may be."""
    with door.http().stream("GET", SUBSCRIBE) as answer:
        lines = [json.loads(line) for line in answer.iter_lines()]

    assert answer.status_code == 200
    assert lines == [{"cursor": "0"}, {"cursor": "1", "event": {"id": "first"}}]


def test_a_stream_is_server_sent_events_for_who_accepts_them(door: Door) -> None:
    """As a page's EventSource reads them."""
    with door.http(accept="text/event-stream").stream("GET", SUBSCRIBE) as answer:
        text = answer.read().decode()

    events = [json.loads(part.removeprefix("data: ")) for part in text.split("\n\n") if part]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [event["cursor"] for event in events] == ["0", "1"]


def test_a_call_that_takes_too_long_is_ended(door: Door, told: Told) -> None:
    """With DEADLINE_EXCEEDED, so that nobody takes it for an outage."""
    told.hangs = True

    with door.http() as client:
        answer = client.get(STATIONS)
    with door.environment() as environment, pytest.raises(grpc.RpcError) as refused:
        environment.ListStations(ListStationsRequest(), metadata=bearer(door.token), timeout=10)

    assert (answer.status_code, answer.json()["code"]) == (504, grpc.StatusCode.DEADLINE_EXCEEDED.value[0])
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("failures", [1, 2])
def test_what_may_be_repeated_is_tried_again(door: Door, told: Told, failures: int) -> None:
    """A read, and a write that brings its `request_id`."""
    told.failures = failures
    with door.http() as client:
        assert client.get(STATIONS).status_code == 200
    assert told.calls == failures + 1

    told.failures = failures
    with door.environment() as environment:
        request = RegisterStationRequest(request_id="again", station=station_message("again"))
        environment.RegisterStation(request, metadata=bearer(door.token), timeout=10)
    assert told.calls == 2 * (failures + 1)


def _served(told: Told, files: CertificateFiles) -> tuple[grpc.Server, int]:
    server = grpc.server(ThreadPoolExecutor(8))
    add_EnvironmentServiceServicer_to_server(told, server)
    add_EventGatewayServicer_to_server(told, server)
    port = server.add_secure_port("127.0.0.1:0", server_credentials(files))
    server.start()
    return server, port


def _token(keys: Keys) -> str:
    return auth.issue(
        keys.private("hue"), issuer="hue", subject="reader", scopes=["*"], audience="hue", ttl=timedelta(hours=1)
    )
