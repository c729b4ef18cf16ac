"""The edge when something changes or breaks: keys, certificates, Envoy itself, the services behind it."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import grpc
import pytest
from cryptography import x509

from lienthong.environment.v1 import ListStationsRequest
from lienthong.environment.v1.environment_service_pb2_grpc import EnvironmentServiceStub
from mesh.auth import generate_key
from mesh.jwks import public_jwk
from mesh.stack import Happening
from mesh.stack.secrets import write_private
from tests.conftest import Background
from tests.edges import STATIONS, RunningEdge, running_edge, station, until
from tests.journeys.otlp import TraceReceiver

TRACE = "af7651916cd43dd8448eb211c80319c7"


@pytest.fixture(scope="module")
def traces() -> Iterator[TraceReceiver]:
    """A collector of spans."""
    with TraceReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def edge(
    background: Background, tmp_path_factory: pytest.TempPathFactory, traces: TraceReceiver
) -> Iterator[RunningEdge]:
    """Hue with an edge, which all tests of this file break in turn."""
    with pytest.MonkeyPatch.context() as variables:
        variables.setenv("LIENTHONG_OTLP_ENDPOINT", traces.endpoint)
        yield from running_edge(background, tmp_path_factory.mktemp("edge"))


def test_the_edge_is_in_the_trace(edge: RunningEdge, traces: TraceReceiver) -> None:
    """Its span is the child of the caller's, and the service's is its descendant; none tells the URL."""
    caller = "00f067aa0ba902b7"
    edge.get(f"{STATIONS}/nowhere", headers={"traceparent": f"00-{TRACE}-{caller}-01"})

    spans = until(lambda: (found := traces.trace(TRACE)) and len(found) >= 3 and found)

    by_id = {span.id: span for span in spans}
    served = next(
        span for span in spans if span.name.endswith("GetStation") and span.locality == "hue" and span.kind == 2
    )
    way = [served]
    while way[-1].parent in by_id:
        way.append(by_id[way[-1].parent])
    assert way[-1].parent == caller
    assert len(way) == 3
    assert not [value for span in spans for value in span.attributes.values() if STATIONS in str(value)]


def test_a_new_key_is_believed_without_a_restart(edge: RunningEdge) -> None:
    """As soon as it is published; and no longer once it is not, whatever was believed before."""
    file, other = edge.keys.jwks_file("hue"), generate_key()
    before = file.read_text()
    token = edge.token(key=other, subject="rotated")
    assert _knows(edge, token) is False

    write_private(file, json.dumps({"keys": [*json.loads(before)["keys"], public_jwk(other.public_key())]}))
    until(lambda: _knows(edge, token))
    assert edge.get(STATIONS).status_code == 200

    write_private(file, before)
    until(lambda: not _knows(edge, token))
    assert edge.child.starts == 1


def test_a_renewed_certificate_is_shown_without_a_restart(edge: RunningEdge) -> None:
    """To outsiders, and to the services behind."""
    before = _shown(edge)

    edge.stack.certificates.renew()

    until(lambda: _shown(edge) != before)
    assert edge.get(STATIONS).status_code == 200
    assert edge.child.starts == 1


def test_services_that_are_away_are_named_unavailable(edge: RunningEdge) -> None:
    """With advice to try again; and when they are back, so is the edge."""
    services = edge.stack.child("hue.services")
    edge.run(services.kill(restart=False))

    answer = edge.get(STATIONS)
    with pytest.raises(grpc.RpcError) as refused:
        edge.call(lambda channel: EnvironmentServiceStub(channel).ListStations, ListStationsRequest())
    edge.run(services.start())
    until(lambda: edge.get(STATIONS).status_code == 200)

    assert (answer.status_code, answer.json()["code"]) == (503, 14)
    assert answer.json()["details"][1]["@type"].endswith("google.rpc.RetryInfo")
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert refused.value.details() == "the service does not answer"


def test_an_envoy_that_is_killed_comes_back(edge: RunningEdge) -> None:
    """At the same address, and the stack says so."""
    edge.run(edge.child.kill())
    edge.run(edge.child.wait_ready())

    assert edge.get(STATIONS).status_code == 200
    crashes = [event for event in edge.stack.events if event.happening is Happening.CRASHED]
    assert "hue.edge" in {event.child for event in crashes}


def test_a_call_under_way_is_finished_before_the_edge_stops(edge: RunningEdge) -> None:
    """New connections are refused from then on; what had begun is answered, and told to close."""
    body = json.dumps({"requestId": "drain-1", "station": station("drain")}).encode()
    with _connected(edge) as connection, ThreadPoolExecutor(1) as aside:
        head = f"PUT {STATIONS}/drain HTTP/1.1\r\nHost: edge\r\nAuthorization: Bearer {edge.token()}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        connection.sendall(body[:10])
        until(lambda: _under_way(edge))

        stopping = aside.submit(edge.run, edge.child.stop())
        until(lambda: not _listens(edge))
        connection.sendall(body[10:])
        answer = connection.recv(65536)

    stopping.result(timeout=30)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer.lower()
    edge.run(edge.child.start())
    assert edge.get(f"{STATIONS}/drain").status_code == 200


def _knows(edge: RunningEdge, token: str) -> bool:
    """Whether the edge believes the token; what the service says to it is another matter."""
    return edge.get("/unknown", token).status_code != 401


def _connected(edge: RunningEdge) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=edge.ca)
    raw = socket.create_connection(("127.0.0.1", edge.port), timeout=10)
    return context.wrap_socket(raw, server_hostname="localhost")


def _shown(edge: RunningEdge) -> int:
    with _connected(edge) as connection:
        certificate = connection.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number


def _under_way(edge: RunningEdge) -> bool:
    return edge.run(edge.admin.calls_under_way()) > 0


def _listens(edge: RunningEdge) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", edge.port), timeout=1):
        return True
    return False
