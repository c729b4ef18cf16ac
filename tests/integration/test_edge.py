"""The edge as outsiders meet it: gRPC, gRPC-Web and JSON on one port, tokens, limits, errors in one form."""

from __future__ import annotations

import base64
import json
import struct
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from lienthong.environment.v1 import (
    GetStationRequest,
    GetStationResponse,
    ListStationsRequest,
    RegisterStationRequest,
)
from lienthong.environment.v1.environment_service_pb2_grpc import EnvironmentServiceStub
from lienthong.exchange.v1 import ListAgreementsRequest
from lienthong.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from lienthong.mesh.v1 import ListServicesRequest
from lienthong.mesh.v1.node_service_pb2_grpc import NodeServiceStub
from mesh.auth import generate_key
from tests.edges import (
    READ,
    STATIONS,
    WRITE,
    RunningEdge,
    bearer,
    edge,
    identity_provider,
    station,
    station_message,
    until,
)
from tests.identity_provider import IdentityProvider

__all__ = ["edge", "identity_provider"]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PAGE = "https://page.example"


class TestSpeaking:
    """Of the three ways to call."""

    def test_json_writes_and_reads(self, edge: RunningEdge) -> None:
        """PUT and GET by URL do what the RPCs do, in the JSON of protobuf."""
        with edge.http() as client:
            put = client.put(f"{STATIONS}/tu-dam", json={"requestId": "json-1", "station": station("tu-dam")})
            got = client.get(f"{STATIONS}/tu-dam")

        assert put.status_code == 200, put.text
        assert got.status_code == 200, got.text
        assert got.json()["station"]["name"] == "Kim Long"
        assert got.headers["content-type"] == "application/json"

    def test_grpc_passes_through(self, edge: RunningEdge) -> None:
        """A gRPC client needs address, authority and token."""
        request = RegisterStationRequest(request_id="grpc-1", station=station_message("an-cuu"))
        edge.call(lambda channel: EnvironmentServiceStub(channel).RegisterStation, request)

        got = edge.call(
            lambda channel: EnvironmentServiceStub(channel).GetStation, GetStationRequest(station_id="an-cuu")
        )

        assert got.station.name == "Kim Long"

    @pytest.mark.parametrize("content_type", ["application/grpc-web+proto", "application/grpc-web-text"])
    def test_grpc_web_is_understood(self, edge: RunningEdge, content_type: str) -> None:
        """Frames and trailers come in the body, as text if the page asks for that."""
        edge.call(
            lambda channel: EnvironmentServiceStub(channel).RegisterStation,
            RegisterStationRequest(request_id="web-1", station=station_message("web")),
        )
        answer = _grpc_web(edge, "GetStation", GetStationRequest(station_id="web"), content_type)

        body = _decoded(answer.content) if "text" in content_type else answer.content
        length = struct.unpack(">I", body[1:5])[0]
        assert GetStationResponse.FromString(body[5 : 5 + length]).station.id == "web"
        assert body[5 + length] == 0x80
        assert b"grpc-status:0" in body

    def test_what_a_service_refuses_is_a_status_with_details(self, edge: RunningEdge) -> None:
        """The same details reach JSON clients as JSON, and gRPC clients as trailers."""
        answer = edge.get(f"{STATIONS}/nowhere")

        assert answer.status_code == 404
        assert answer.json()["code"] == grpc.StatusCode.NOT_FOUND.value[0]
        assert answer.json()["details"][0]["@type"].endswith("google.rpc.ResourceInfo")

    def test_a_page_of_any_origin_may_ask(self, edge: RunningEdge) -> None:
        """A preflight needs no token; the answer may be read, its status and trace id too."""
        with edge.http(None, headers={"origin": PAGE}) as client:
            asked = {"access-control-request-method": "PUT", "access-control-request-headers": "authorization"}
            preflight = client.options(STATIONS, headers=asked)
        answer = edge.get(STATIONS, headers={"origin": PAGE})

        assert preflight.status_code == 200
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "grpc-status" in answer.headers["access-control-expose-headers"]


class TestDiscovering:
    """With nothing but the address and a token."""

    def test_reflection_tells_public_services_only(self, edge: RunningEdge) -> None:
        """A generic client lists them and gets their descriptors; of internal ones it learns nothing."""
        listed, environment, node, exchange = _reflect(
            edge,
            {"list_services": ""},
            {"file_containing_symbol": "lienthong.environment.v1.EnvironmentService"},
            {"file_containing_symbol": "lienthong.mesh.v1.NodeService"},
            {"file_containing_symbol": "lienthong.exchange.v1.ExchangeService"},
        )

        names = [service.name for service in listed.list_services_response.service]
        assert "lienthong.environment.v1.EnvironmentService" in names
        assert not [name for name in names if "exchange" in name or ".mesh." in name]
        assert environment.file_descriptor_response.file_descriptor_proto
        assert {node.error_response.error_code, exchange.error_response.error_code} == {5}

    def test_a_generic_client_discovers_and_calls(self, edge: RunningEdge) -> None:
        """gRPC's own, that knows address, authority and token; no contract of ours is imported by it."""
        credentials = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials(edge.ca.read_bytes()), grpc.access_token_call_credentials(edge.token())
        )
        with grpc.secure_channel(f"localhost:{edge.port}", credentials) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            names = [name for name in database.get_services() if name.endswith("EnvironmentService")]
            [method] = [
                method
                for name in names
                for method in DescriptorPool(database).FindServiceByName(name).methods
                if method.name == "ListStations"
            ]
            request, answer = map(message_factory.GetMessageClass, (method.input_type, method.output_type))
            listed = channel.unary_unary(
                f"/{method.containing_service.full_name}/{method.name}",
                request_serializer=request.SerializeToString,
                response_deserializer=answer.FromString,
            )(json_format.ParseDict({"pageSize": 1}, request()), timeout=10)

        assert len(json_format.MessageToDict(listed).get("stations", [])) <= 1

    def test_reflection_needs_a_token(self, edge: RunningEdge) -> None:
        """Who has none discovers nothing by it."""
        with pytest.raises(grpc.RpcError) as refused:
            _reflect(edge, {"list_services": ""}, token=None)

        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/openapi.json", "application/json"),
            ("/asyncapi.json", "application/json"),
            ("/docs", "text/html"),
            ("/descriptors.pb", "application/x-protobuf"),
        ],
    )
    def test_documents_are_open(self, edge: RunningEdge, path: str, kind: str) -> None:
        """They say nothing that is not public."""
        answer = edge.get(path, None)

        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["access-control-allow-origin"] == "*"

    @pytest.mark.parametrize(
        ("method", "request_"),
        [
            (lambda channel: NodeServiceStub(channel).ListServices, ListServicesRequest()),
            (lambda channel: ExchangeServiceStub(channel).ListAgreements, ListAgreementsRequest()),
        ],
    )
    def test_internal_services_are_not_there(self, edge: RunningEdge, method, request_) -> None:
        """Not even for a token with every scope."""
        with pytest.raises(grpc.RpcError) as refused:
            edge.call(method, request_, edge.token("*"))

        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED

    @pytest.mark.parametrize(
        "path",
        ["/", "/environment/v1/nothing", "/exchange/v1/agreements", "/lienthong.mesh.v1.NodeService/ListServices"],
    )
    def test_unknown_paths_are_not_found(self, edge: RunningEdge, path: str) -> None:
        """In the form of every other error."""
        answer = edge.get(path, edge.token("*"))

        assert answer.status_code == 404
        assert answer.json()["code"] == grpc.StatusCode.NOT_FOUND.value[0]
        assert _reason(answer) == "NOT_FOUND"

    def test_the_edge_says_how_it_is(self, edge: RunningEdge) -> None:
        """To whoever asks."""
        assert edge.get("/healthz", None).status_code == 200


class TestTokens:
    """Of those that are not good enough."""

    @pytest.mark.parametrize(
        "given",
        [
            {"ttl_s": -60},
            {"issuer": "da-nang"},
            {"issuer": "https://unknown.example"},
            {"audience": "da-nang"},
            {"key": generate_key()},
        ],
        ids=["expired", "of a peer", "of nobody", "for another locality", "of another key"],
    )
    def test_are_refused(self, edge: RunningEdge, given) -> None:
        """In JSON and in gRPC, as a service would."""
        token = edge.token(**given)

        answer = edge.get(STATIONS, token)
        with pytest.raises(grpc.RpcError) as refused:
            edge.call(lambda channel: EnvironmentServiceStub(channel).ListStations, ListStationsRequest(), token)

        assert (answer.status_code, _reason(answer)) == (401, "UNAUTHENTICATED")
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED

    @pytest.mark.parametrize("token", [None, "nonsense"])
    def test_missing_or_malformed_are_refused(self, edge: RunningEdge, token: str | None) -> None:
        """With a challenge, as HTTP wants it."""
        answer = edge.get(STATIONS, token)

        assert (answer.status_code, _reason(answer)) == (401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"].startswith("Bearer")

    def test_are_not_taken_from_the_url(self, edge: RunningEdge) -> None:
        """URLs end up in logs."""
        assert edge.get(f"{STATIONS}?access_token={edge.token()}", None).status_code == 401

    def test_of_a_configured_identity_provider_are_taken(
        self, edge: RunningEdge, identity_provider: IdentityProvider
    ) -> None:
        """By edge and services alike; for what they say and no more."""
        taken = edge.get(STATIONS, identity_provider.token("hue", READ))
        elsewhere = edge.get(STATIONS, identity_provider.token("da-nang", READ))
        other_scope = edge.get(STATIONS, identity_provider.token("hue", "health.read"))

        assert [answer.status_code for answer in (taken, elsewhere, other_scope)] == [200, 401, 403]

    def test_without_the_scope_are_told_which(self, edge: RunningEdge) -> None:
        """Reading does not entitle to writing."""
        with edge.http(edge.token(READ)) as client:
            body = {"requestId": "scope-1", "station": station("scope")}
            answer = client.put(f"{STATIONS}/scope", json=body)
        with pytest.raises(grpc.RpcError) as refused:
            edge.call(
                lambda channel: EnvironmentServiceStub(channel).RegisterStation,
                RegisterStationRequest(request_id="scope-1", station=station_message("scope")),
                edge.token(READ),
            )

        assert (answer.status_code, _reason(answer)) == (403, "PERMISSION_DENIED")
        assert WRITE in answer.json()["message"]
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert WRITE in refused.value.details()

    def test_of_a_page_are_refused_in_its_words(self, edge: RunningEdge) -> None:
        """gRPC-Web gets status and message as headers."""
        answer = _grpc_web(edge, "ListStations", ListStationsRequest(), "application/grpc-web+proto", token=None)

        assert answer.headers["grpc-status"] == "16"
        assert answer.headers["content-type"].startswith("application/grpc-web")
        assert "{" not in answer.headers["grpc-message"]


class TestLimits:
    """Of what is asked, and how often."""

    def test_a_subject_that_asks_too_often_is_told_to_wait(self, edge: RunningEdge) -> None:
        """Others notice nothing."""
        with edge.http(edge.token(subject="eager")) as client, ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: client.get(STATIONS), range(150)))
        with pytest.raises(grpc.RpcError) as refused:
            _list_often(edge, edge.token(subject="eager"))
        calm = edge.get(STATIONS, edge.token(subject="calm"))

        assert {answer.status_code for answer in answers} == {200, 429}
        limited = next(answer for answer in answers if answer.status_code == 429)
        assert limited.headers["retry-after"] == "1"
        assert limited.json()["details"][1]["retryDelay"] == "1s"
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert calm.status_code == 200

    def test_all_tokens_of_a_subject_are_counted_together(
        self, edge: RunningEdge, identity_provider: IdentityProvider
    ) -> None:
        """A new token is no new allowance; whom another issuer gives the same name is somebody else."""
        with edge.http(None) as client:
            answers = [client.get(STATIONS, headers=_as("clerk", edge)).status_code for _ in range(150)]
        namesake = edge.get(STATIONS, identity_provider.token("hue", READ, "clerk"))

        assert set(answers) == {200, 429}
        assert namesake.status_code == 200

    @pytest.mark.parametrize("subject", [None, ""])
    def test_who_is_nobody_is_not_let_in(
        self, edge: RunningEdge, identity_provider: IdentityProvider, subject: str | None
    ) -> None:
        """A token without a subject would not be counted. It goes no further than the edge."""
        answer = edge.get(STATIONS, identity_provider.token("hue", READ, subject))

        assert (answer.status_code, _reason(answer)) == (401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"].startswith("Bearer")

    def test_too_large_a_body_is_refused(self, edge: RunningEdge) -> None:
        """Before it is read as JSON."""
        body = json.dumps({"requestId": "large-1", "note": "x" * (9 * 2**20)})
        with edge.http(headers={"content-type": "application/json"}) as client:
            answer = client.post("/environment/v1/readings:record", content=body)

        assert (answer.status_code, _reason(answer)) == (413, "RESOURCE_EXHAUSTED")

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/environment/v1/readings:record", '{"requestId":'),
            ("/environment/v1/readings:record", '{"requestId": 5}'),
            ("/environment/v1/readings:record?color=red", "{}"),
            ("/environment/v1/readings:record", '{"requestId": "few"}'),
        ],
        ids=["no JSON", "not of its type", "unknown parameter", "breaks a rule of the contract"],
    )
    def test_bad_input_is_the_callers_mistake(self, edge: RunningEdge, path: str, body: str) -> None:
        """Whether edge or service finds it."""
        with edge.http(headers={"content-type": "application/json"}) as client:
            answer = client.post(path, content=body)

        assert (answer.status_code, _reason(answer)) == (400, "INVALID_ARGUMENT")


class TestTelling:
    """Of what the edge tells about calls."""

    def test_a_trace_goes_on(self, edge: RunningEdge) -> None:
        """Its id comes back, so that whoever complains can name it; who brings none is given one."""
        answer = edge.get(STATIONS, headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
        refused = edge.get(STATIONS, None)

        assert answer.headers["x-trace-id"] == TRACE
        assert len(refused.headers["x-trace-id"]) == 32

    def test_the_log_names_rpc_and_trace_and_nobody(self, edge: RunningEdge) -> None:
        """A line of JSON per call: no token, no subject, no URL, which may hold ids."""
        token = edge.token(subject="nguyen-thi-hoa")
        trace = "5" * 32
        edge.get(f"{STATIONS}/secret-id", token, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})

        line = until(lambda: next((line for line in edge.log.read_text().splitlines() if trace in line), None))

        told = json.loads(line)
        assert told["rpc"] == "lienthong.environment.v1.EnvironmentService/GetStation"
        assert (told["status"], told["issuer"]) == (404, "hue")
        log = edge.log.read_text()
        assert not [secret for secret in (token, "nguyen-thi-hoa", "secret-id") if secret in log]


def _as(subject: str, edge: RunningEdge) -> dict[str, str]:
    """Another token each time."""
    return {"authorization": f"Bearer {edge.token(subject=subject)}"}


def _list_often(edge: RunningEdge, token: str) -> None:
    with edge.channel() as channel:
        for _ in range(150):
            EnvironmentServiceStub(channel).ListStations(ListStationsRequest(), metadata=bearer(token), timeout=10)


def _reason(answer: httpx.Response) -> str:
    infos = [one for one in answer.json()["details"] if one["@type"].endswith("google.rpc.ErrorInfo")]
    assert infos[0]["domain"] == "lienthong"
    return str(infos[0]["reason"])


def _reflect(edge: RunningEdge, *asked: dict[str, str], token: str | None = ""):
    requests = (reflection_pb2.ServerReflectionRequest(**one) for one in asked)
    metadata = bearer(edge.token() if token == "" else token)
    with edge.channel() as channel:
        return list(
            reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
                requests, metadata=metadata, timeout=10
            )
        )


def _grpc_web(edge: RunningEdge, method: str, message, content_type: str, token: str | None = "") -> httpx.Response:
    frame = b"\0" + struct.pack(">I", message.ByteSize()) + message.SerializeToString()
    body = base64.b64encode(frame) if "text" in content_type else frame
    with edge.http(token, headers={"content-type": content_type, "accept": content_type, "x-grpc-web": "1"}) as client:
        return client.post(f"/lienthong.environment.v1.EnvironmentService/{method}", content=body)


def _decoded(text: bytes) -> bytes:
    """Base64 of each frame on its own, one after the other."""
    padded = text.replace(b"=", b"= ").replace(b"= = ", b"== ").split()
    return b"".join(base64.b64decode(part) for part in padded)
