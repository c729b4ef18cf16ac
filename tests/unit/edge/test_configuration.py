"""Envoy's configuration: whatever may be set, Envoy itself accepts it, and it opens no more than it should."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.edge.configuration import configuration, write
from gateway.edge.settings import EdgeSettings
from mesh.config import IssuerSettings
from mesh.stack import binaries
from mesh.stack.certificates import Certificates
from mesh.stack.edge_place import EdgeFiles, EdgePlace
from mesh.stack.keys import Keys

ISSUERS = {
    "https://id.example/realm": IssuerSettings(jwks="https://id.example/keys", audience="hue"),
    "da-nang": IssuerSettings(jwks="https://da-nang.example/keys", locality="da-nang"),
}


@pytest.fixture
def place(tmp_path: Path) -> EdgePlace:
    """An edge of hue with a key and a certificate."""
    certificates = Certificates(tmp_path, ["hue"])
    certificates.keep()
    return EdgePlace(
        locality="hue",
        host="127.0.0.1",
        port=8443,
        services="127.0.0.1:7000",
        keys=Keys(tmp_path / "keys").jwks_file("hue"),
        credentials=certificates.folder("hue", "edge"),
    )


@pytest.fixture
def its_files(tmp_path: Path) -> EdgeFiles:
    """Where its files lie; there is one document."""
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "openapi.json").write_text("{}")
    return EdgeFiles(folder=tmp_path / "edge", documents=documents, admin=tmp_path / "admin")


@pytest.mark.parametrize(
    ("settings", "surroundings"),
    [
        (EdgeSettings(), {}),
        (EdgeSettings(cors_origins=["https://page.example"]), {"issuers": ISSUERS}),
        (EdgeSettings(), {"collector": "http://collector:4317", "elsewhere": {"health": "health:7000"}}),
    ],
    ids=["as it comes", "with another issuer", "with a collector, as on Kubernetes"],
)
def test_envoy_accepts_it(
    place: EdgePlace, its_files: EdgeFiles, settings: EdgeSettings, surroundings: dict[str, Any]
) -> None:
    """`envoy --mode validate` finds nothing wrong with it, and nothing that is out of date."""
    file = write(replace(place, **surroundings), its_files, settings)

    checked = subprocess.run(
        [binaries.envoy(), "--mode", "validate", "--config-path", file, "--log-level", "warning"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr
    assert "eprecated" not in checked.stderr


def test_all_but_open_paths_need_a_token(place: EdgePlace, its_files: EdgeFiles) -> None:
    """Health and documents, of which those that are not there are not offered."""
    rules = _filter(configuration(place, its_files, EdgeSettings()), "envoy.filters.http.jwt_authn")["rules"]

    assert [rule["match"] for rule in rules if "requires" not in rule] == [
        {"path": "/healthz"},
        {"path": "/openapi.json"},
    ]
    assert rules[-1]["match"] == {"prefix": "/"}
    assert rules[-1]["requires"] == {"provider_name": "hue"}


def test_keys_are_kept_for_whole_seconds(place: EdgePlace, its_files: EdgeFiles) -> None:
    """Envoy passes over parts of a second: keys kept for less than one are fetched for every call."""
    edge = configuration(replace(place, issuers=ISSUERS), its_files, EdgeSettings())
    providers = _filter(edge, "envoy.filters.http.jwt_authn")["providers"]

    kept = {name: provider["remote_jwks"]["cache_duration"] for name, provider in providers.items()}
    assert kept == {"hue": "1s", "https://id.example/realm": "300s"}


def test_tokens_of_other_localities_are_not_for_outsiders(place: EdgePlace, its_files: EdgeFiles) -> None:
    """They are for exchanges; those of an identity provider that speaks for this locality are taken."""
    found = configuration(replace(place, issuers=ISSUERS), its_files, EdgeSettings())

    assert set(_filter(found, "envoy.filters.http.jwt_authn")["providers"]) == {"hue", "https://id.example/realm"}


def test_administration_is_a_socket_that_only_its_user_opens(place: EdgePlace, its_files: EdgeFiles) -> None:
    """Whoever reaches it can stop the edge and read what it holds."""
    address = configuration(place, its_files, EdgeSettings())["admin"]["address"]

    assert address == {"pipe": {"path": str(its_files.admin), "mode": 0o600}}


def test_each_service_is_where_it_is_said_to_be(place: EdgePlace, its_files: EdgeFiles) -> None:
    """Those with an address of their own there, all others together."""
    found = configuration(replace(place, elsewhere={"health": "health:7001"}), its_files, EdgeSettings())

    ports = {one["name"]: _port(one) for one in found["static_resources"]["clusters"] if _port(one)}
    assert ports["health"] == 7001
    assert ports["environment"] == ports["transport"] == 7000


def _filter(found: dict[str, Any], name: str) -> dict[str, Any]:
    manager = found["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    return next(one["typed_config"] for one in manager["http_filters"] if one["name"] == name)


def _port(cluster: dict[str, Any]) -> int | None:
    for group in cluster["load_assignment"].get("endpoints", ()):
        for endpoint in group["lb_endpoints"]:
            return endpoint["endpoint"]["address"].get("socket_address", {}).get("port_value")
    return None
