"""A gateway that fails as it is told, behind TLS, on this machine."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lienthong.environment.v1 import AirQualityAlertRaised, GetStationResponse, RegisterStationResponse
from lienthong.environment.v1.environment_service_pb2_grpc import (
    EnvironmentServiceServicer,
    add_EnvironmentServiceServicer_to_server,
)
from lienthong.gateway.v1 import CloudEvent, SubscribeRequest, SubscribeResponse
from lienthong.gateway.v1.event_gateway_service_pb2_grpc import EventGatewayServicer, add_EventGatewayServicer_to_server
from mesh.stack.ports import free_port


class Gateway(EventGatewayServicer, EnvironmentServiceServicer):
    """Delivers numbered alerts, each with its number as cursor; unary calls answer nothing."""

    def __init__(self, folder: Path) -> None:
        self.ca = folder / "ca.pem"
        self._key, certificate = _self_signed()
        self.ca.write_bytes(certificate)
        self._certificate = certificate
        self._port = free_port()
        self._server: grpc.aio.Server | None = None
        self.subscribed: list[SubscribeRequest] = []
        self.tokens: list[str] = []
        self.tries = 0
        self.refuse: Callable[[str], grpc.StatusCode | None] = lambda token: None
        """Asked at the beginning of each call, with its token."""
        self.breaks: dict[int, grpc.StatusCode | None] = {}
        """By number of an alert, how the stream ends before it, once; ``None`` ends it in peace."""
        self.before: Callable[[Any], Awaitable[None]] | None = None
        """Awaited before a unary call is answered, with its context."""
        self.last = 10

    @property
    def address(self) -> str:
        return f"https://localhost:{self._port}"

    async def start(self) -> None:
        self._server = grpc.aio.server()
        add_EventGatewayServicer_to_server(self, self._server)
        add_EnvironmentServiceServicer_to_server(self, self._server)
        credentials = grpc.ssl_server_credentials([(self._key, self._certificate)])
        self._server.add_secure_port(f"127.0.0.1:{self._port}", credentials)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(grace=None)

    async def Subscribe(self, request: SubscribeRequest, context: Any) -> Any:
        self.subscribed.append(request)
        await self._let_in(context)
        number = int(request.after_cursor or "0")
        yield SubscribeResponse(cursor=str(number))
        while number < self.last:
            number += 1
            if number in self.breaks:
                code = self.breaks.pop(number)
                if code is None:
                    return
                await context.abort(code, "told to")
            yield alert(number)
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "there is no more")

    async def GetStation(self, request: Any, context: Any) -> GetStationResponse:
        await self._let_in(context)
        if self.before is not None:
            await self.before(context)
        return GetStationResponse()

    async def RegisterStation(self, request: Any, context: Any) -> RegisterStationResponse:
        await self._let_in(context)
        return RegisterStationResponse()

    async def _let_in(self, context: Any) -> None:
        self.tries += 1
        token = dict(context.invocation_metadata())["authorization"]
        self.tokens.append(token)
        code = self.refuse(token)
        if code is not None:
            await context.abort(code, "told to")


def alert(number: int) -> SubscribeResponse:
    """The delivery of an alert for the station of that number."""
    event = CloudEvent(source="/da-nang/environment", subject=f"s{number}", withheld="location,index")
    event.time.FromJsonString("2026-11-23T01:02:03Z")
    event.type = AirQualityAlertRaised.DESCRIPTOR.full_name
    event.data.Pack(AirQualityAlertRaised(station_id=f"s{number}"))
    return SubscribeResponse(event=event, cursor=str(number))


def _self_signed() -> tuple[bytes, bytes]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem, certificate.public_bytes(serialization.Encoding.PEM)
