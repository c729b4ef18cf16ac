"""`lienthong edge config`: what it writes is all that an Envoy elsewhere needs, and that Envoy accepts it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from mesh.cli.app import app
from mesh.cli.exits import UsageError
from mesh.stack import binaries
from mesh.stack.certificates import Certificates
from mesh.stack.keys import Keys

SERVICES = ("administration", "environment", "gateway", "health", "localities", "transport")
EACH = [word for name in SERVICES for word in ("--services", f"{name}={name}.hue.svc:7000")]
SETTINGS = {
    "LIENTHONG_AUTH__ISSUERS": json.dumps({"https://id.example": {"jwks": "https://id.example/keys"}}),
    "LIENTHONG_EDGE__CORS_ORIGINS": json.dumps(["https://page.example"]),
    "LIENTHONG_EDGE__REQUESTS_PER_SECOND": "7",
    "LIENTHONG_OTLP_ENDPOINT": "http://collector:4317",
}


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    """Of hue's edge."""
    certificates = Certificates(tmp_path, ["hue"])
    certificates.keep()
    return certificates.folder("hue", "edge")


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    """Keys of hue."""
    return Keys(tmp_path / "keys").jwks_file("hue")


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, ["edge", "config", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def validated(file: Path) -> subprocess.CompletedProcess[str]:
    """What Envoy says of a configuration."""
    command = [binaries.envoy(), "--mode", "validate", "--config-path", file, "--log-level", "warning"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_envoy_accepts_what_was_carried_to_it(
    tmp_path: Path, credentials: Path, jwks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written here, read there: nothing is left behind, and the settings of the edge are in it."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    here, there = tmp_path / "written", tmp_path / "etc" / "envoy"
    there.parent.mkdir()

    said = run(
        *("--locality", "hue", *EACH, "--jwks", jwks, "--credentials", credentials, "--out", here, "--at", there)
    )
    here.rename(there)

    checked = validated(there / "envoy.yaml")
    assert checked.returncode == 0, checked.stderr
    assert "eprecated" not in checked.stderr
    assert f"--config-path {there / 'envoy.yaml'}" in said.replace("\n", "")
    text = "".join(file.read_text() for file in there.glob("*.yaml"))
    assert str(here) not in text
    assert "lienthong/descriptors.pb" not in text
    for told in ("https://id.example", "https://page.example", "collector", "tokens_per_fill: 7"):
        assert told in text


def test_without_another_place_envoy_reads_it_where_it_was_written(
    tmp_path: Path, credentials: Path, jwks: Path
) -> None:
    """One address may stand for all services, and some may have another."""
    services = ("--services", "mesh:7000", "--services", "health=health:7001")

    run("--locality", "hue", *services, "--jwks", jwks, "--credentials", credentials, "--out", tmp_path / "edge")

    checked = validated(tmp_path / "edge" / "envoy.yaml")
    assert checked.returncode == 0, checked.stderr
    addresses = _addresses(tmp_path / "edge" / "envoy.yaml")
    assert addresses["health"] == ("health", 7001)
    assert {addresses[name] for name in SERVICES if name != "health"} == {("mesh", 7000)}
    assert addresses["listener"] == ("0.0.0.0", 8443)


def test_keys_may_lie_at_a_url(tmp_path: Path, credentials: Path) -> None:
    """Fetched by a cluster of its own, with the authorities of the system."""
    url = "https://keys.hue.example/jwks.json"

    run("--locality", "hue", *EACH, "--jwks", url, "--credentials", credentials, "--out", tmp_path / "edge")

    checked = validated(tmp_path / "edge" / "envoy.yaml")
    assert checked.returncode == 0, checked.stderr
    assert _addresses(tmp_path / "edge" / "envoy.yaml")["keys of keys.hue.example"] == ("keys.hue.example", 443)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--services", "mesh"], "--services 'mesh': expected HOST:PORT"),
        (["--services", "mesh:70000"], "expected HOST:PORT"),
        (["--services", "exchange=mesh:7000"], "no service exchange; they call administration, environment"),
        (["--services", "health=health:7000"], "no address of administration, environment"),
        (["--services", "mesh:7000", "--services", "mesh:7001"], "what is not named has an address already"),
        (
            [*EACH, "--jwks", "http://keys.example/jwks"],
            "keys.example/jwks': expected a file or an https:// URL",
        ),
        ([*EACH, "--jwks", "keys.json"], "--jwks keys.json: expected a full path"),
        ([*EACH, "--credentials", "tls"], "--credentials tls: expected a full path"),
        ([*EACH, "--at", "envoy"], "--at envoy: expected a full path"),
        ([*EACH, "--admin", "/" + "x" * 107], "at most 107 bytes"),
        ([*EACH, "--listen", "8443"], "--listen '8443': expected HOST:PORT"),
        ([*EACH, "--out", "/dev/null"], "--out /dev/null: cannot be written"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(tmp_path: Path, wrong: list[str], said: str) -> None:
    out = tmp_path / "edge"
    right = ["--locality", "hue", "--jwks", "/keys.json", "--credentials", "/tls", "--out", str(out)]

    with pytest.raises(UsageError) as refused:
        run(*right, *wrong)

    assert said in str(refused.value)
    assert not out.exists()


def _addresses(file: Path) -> dict[str, tuple[str, int]]:
    """By name of the cluster, and of the listener."""
    resources: dict[str, Any] = yaml.safe_load(file.read_text())["static_resources"]
    found = {
        cluster["name"]: endpoint["endpoint"]["address"]
        for cluster in resources["clusters"]
        for group in cluster["load_assignment"].get("endpoints", ())
        for endpoint in group["lb_endpoints"]
    }
    found["listener"] = resources["listeners"][0]["address"]
    sockets = {name: address["socket_address"] for name, address in found.items() if "socket_address" in address}
    return {name: (socket["address"], socket["port_value"]) for name, socket in sockets.items()}
