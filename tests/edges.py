"""A locality with its edge, as outsiders see it: an address, an authority to believe, tokens.

`edge` (module): hue with the environment sector; a subject may make 20 requests a second, 60 at once.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import yaml

from lienthong.environment.v1 import Station
from mesh import auth
from mesh.stack import Stack
from mesh.stack.envoy_admin import EnvoyAdmin
from mesh.stack.keys import Keys
from tests.conftest import Background
from tests.identity_provider import ISSUER, IdentityProvider

SERVICES = ("services.environment.service:EnvironmentService",)
READ, WRITE = "environment.read", "environment.write"
STATIONS = "/environment/v1/stations"


class RunningEdge:
    """The edge of hue."""

    def __init__(self, stack: Stack, background: Background) -> None:
        self.stack = stack
        self.child = stack.child("hue.edge")
        self.log = stack.data / "logs" / "hue.edge.log"
        self.keys = Keys(stack.data / "keys")
        self._background = background

    @property
    def url(self) -> str:
        """Where outsiders reach it."""
        url = self.stack.edge_url("hue")
        assert url is not None
        return url

    @property
    def admin(self) -> EnvoyAdmin:
        """Envoy's own administration."""
        configuration = yaml.safe_load((self.stack.data / "edge" / "hue" / "envoy.yaml").read_text())
        return EnvoyAdmin(Path(configuration["admin"]["address"]["pipe"]["path"]))

    @property
    def port(self) -> int:
        """Port of the address."""
        return int(self.url.rpartition(":")[2])

    @property
    def ca(self) -> Path:
        """The authority outsiders believe."""
        return self.stack.certificates.ca

    def run(self, work: Any) -> Any:
        """Runs a coroutine where the stack runs."""
        return self._background.run(work)

    def token(self, *scopes: str, subject: str = "integrator", **given: Any) -> str:
        """A token of hue; `issuer`, `audience`, `ttl_s` and `key` may be others."""
        return auth.issue(
            given.get("key") or self.keys.private("hue"),
            issuer=given.get("issuer", "hue"),
            subject=subject,
            scopes=scopes or (READ, WRITE),
            audience=given.get("audience", "hue"),
            ttl=timedelta(seconds=given.get("ttl_s", 60)),
        )

    def http(self, token: str | None = "", **given: Any) -> httpx.Client:
        """A client that speaks JSON; without a token given it brings a good one, with None it brings none."""
        headers = {} if token is None else {"authorization": f"Bearer {token or self.token()}"}
        return httpx.Client(
            base_url=self.url,
            verify=ssl.create_default_context(cafile=self.ca),
            headers=headers | given.pop("headers", {}),
            timeout=10,
            **given,
        )

    def get(self, path: str, token: str | None = "", **given: Any) -> httpx.Response:
        """One request of a client of its own."""
        with self.http(token, **given) as client:
            return client.get(path)

    def channel(self) -> grpc.Channel:
        """A gRPC channel that knows nothing but address and authority."""
        return grpc.secure_channel(f"localhost:{self.port}", grpc.ssl_channel_credentials(self.ca.read_bytes()))

    def call(self, method: Callable[[grpc.Channel], Any], request: Any, token: str | None = "") -> Any:
        """Makes one gRPC call with a stub's method: `edge.call(lambda channel: Stub(channel).Get, request)`."""
        with closing(self.channel()) as channel:
            return method(channel)(request, metadata=bearer(self.token() if token == "" else token), timeout=10)


def bearer(token: str | None) -> tuple[tuple[str, str], ...]:
    """Metadata that brings a token."""
    return () if token is None else (("authorization", f"Bearer {token}"),)


def station(id: str) -> dict[str, Any]:
    """A station in JSON."""
    return {"id": id, "name": "Kim Long", "location": {"latitude": 16.46, "longitude": 107.56}}


def station_message(id: str) -> Station:
    """The same as a message."""
    return Station(id=id, name="Kim Long", location={"latitude": 16.46, "longitude": 107.56})


def until(check: Callable[[], Any], within_s: float = 30.0) -> Any:
    """Returns what the check returns once that is true."""
    deadline = time.monotonic() + within_s
    while not (found := check()):
        assert time.monotonic() < deadline, "it has not come about"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def identity_provider() -> Iterator[IdentityProvider]:
    """Whom hue believes beside itself."""
    with IdentityProvider() as running:
        yield running


@pytest.fixture(scope="module")
def edge(
    background: Background, tmp_path_factory: pytest.TempPathFactory, identity_provider: IdentityProvider
) -> Iterator[RunningEdge]:
    """Hue, its environment sector and its edge."""
    with pytest.MonkeyPatch.context() as variables:
        variables.setenv("LIENTHONG_AUTH__ISSUERS", json.dumps({ISSUER: {"jwks": identity_provider.jwks}}))
        variables.setenv("LIENTHONG_EDGE__REQUESTS_PER_SECOND", "20")
        variables.setenv("LIENTHONG_EDGE__BURST", "60")
        yield from running_edge(background, tmp_path_factory.mktemp("edge"))


def running_edge(background: Background, folder: Path, services: Sequence[str] = SERVICES) -> Iterator[RunningEdge]:
    """Starts hue with its edge, and stops it."""
    stack = Stack(["hue"], folder, services=services)
    background.run(stack.__aenter__())
    try:
        yield RunningEdge(stack, background)
    finally:
        background.run(stack.__aexit__(None, None, None))
