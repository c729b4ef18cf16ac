"""`lienthong certificates`: reads and renews what a data folder holds, whether a mesh runs there or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mesh.cli.app import app
from mesh.errors import ConfigurationError
from mesh.identity import SERVICES
from mesh.stack.certificates import Certificates


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    made = Certificates(tmp_path, ["hue"])
    made.keep()
    return made


def lienthong(*words: str) -> str:
    ended = CliRunner().invoke(app, ["certificates", *words], catch_exceptions=False)
    assert ended.exit_code == 0
    return ended.output


def test_authorities_and_holders_are_shown(certificates: Certificates, tmp_path: Path) -> None:
    held = json.loads(lienthong("show", "--data", str(tmp_path), "--json"))

    assert [one["holder"] for one in held] == [
        "Lienthong authority 1",
        "services of hue",
        "edge of hue",
        "operator of hue",
    ]
    assert {one["signer"] for one in held} == {"Lienthong authority 1"}
    assert all(Path(one["file"]).is_file() for one in held)


def test_all_are_renewed(certificates: Certificates, tmp_path: Path) -> None:
    before = (certificates.folder("hue", SERVICES) / "tls.pem").read_text()

    lienthong("renew", "--data", str(tmp_path))

    assert (certificates.folder("hue", SERVICES) / "tls.pem").read_text() != before


def test_a_new_authority_is_passed_on(certificates: Certificates, tmp_path: Path) -> None:
    said = lienthong("renew", "--authority", "--data", str(tmp_path))

    assert "signs in 30 days" in said
    assert certificates.ca.read_text().count("BEGIN CERTIFICATE") == 2


def test_a_folder_without_certificates_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no certificates"):
        CliRunner().invoke(app, ["certificates", "show", "--data", str(tmp_path)], catch_exceptions=False)
