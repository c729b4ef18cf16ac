"""`lienthong token` and `lienthong keys rotate`, on the folder a mesh has left behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mesh.auth import Caller, Issuer, Verifier
from mesh.cli.app import app
from mesh.cli.exits import NoMesh, UsageError
from mesh.key_sets import FileKeys
from mesh.stack.endpoints import Endpoints, LocalityEndpoints, read
from mesh.stack.keys import Keys


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a mesh that runs Huế."""
    keys = Keys(tmp_path / "keys")
    keys.jwks_file("hue")
    hue = LocalityEndpoints(
        grpc="127.0.0.1:1", nats="nats://127.0.0.1:2", token=keys.operator_token("hue"), ca="", credentials=""
    )
    endpoints = Endpoints.model_construct(
        pid=os.getpid(), mongodb="mongodb://x/", hub=None, hub_applied=None, localities={"hue": hue}, processes={}
    )
    endpoints.write(tmp_path / "endpoints.json")
    return tmp_path


def run(folder: Path, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--data", str(folder)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output.strip()


def verify(folder: Path, token: str) -> Caller:
    return Verifier({"hue": Issuer(FileKeys(folder / "keys" / "hue.jwks.json"), "hue", "hue")}, "hue").verify(token)


TOKEN = ("token", "--locality", "hue", "--subject", "desk")


def test_a_token_says_what_was_asked_for(folder: Path) -> None:
    asked = ("--scope", "health.read", "--scope", "environment.read", "--purpose", "public health", "--ttl", "15m")

    caller = verify(folder, run(folder, *TOKEN, *asked))

    assert caller == Caller("desk", "hue", frozenset({"environment.read", "health.read"}), "public health")


def test_a_scope_that_opens_nothing_is_refused_and_the_others_are_named(folder: Path) -> None:
    """A token that opens nothing would only be noticed when it is used."""
    with pytest.raises(UsageError, match=r"health\.raed; known: .*health\.read"):
        run(folder, *TOKEN, "--scope", "health.raed")


def test_scopes_of_logs_are_known_by_topic(folder: Path) -> None:
    """One for each topic of the contracts, of events of the locality and of others, and one for all of them."""
    scopes = {"mesh.log", "mesh.log:local.environment.flood_alarm", "mesh.log:peers.*"}

    assert verify(folder, run(folder, *TOKEN, *(word for one in scopes for word in ("--scope", one)))).scopes == scopes
    with pytest.raises(UsageError, match="flood_alram"):
        run(folder, *TOKEN, "--scope", "mesh.log:local.environment.flood_alram")


@pytest.mark.parametrize("ttl", ["0s", "31d", "1", "h", "-1h", "1y"])
def test_a_life_is_said_with_its_unit_and_ends(folder: Path, ttl: str) -> None:
    with pytest.raises(UsageError, match="expected 90s, 15m, 1h, at most 30d"):
        run(folder, *TOKEN, "--scope", "*", "--ttl", ttl)


def test_a_locality_that_never_ran_here_signs_nothing(folder: Path) -> None:
    with pytest.raises(NoMesh, match="no key of da-nang"):
        run(folder, "token", "--locality", "da-nang", "--subject", "desk", "--scope", "*")


def test_after_a_rotation_tokens_of_before_and_after_are_good(folder: Path) -> None:
    before = run(folder, *TOKEN, "--scope", "health.read")

    told = json.loads(run(folder, "keys", "rotate", "--json"))

    after = run(folder, *TOKEN, "--scope", "health.read")
    assert verify(folder, before) == verify(folder, after)
    assert list(told) == ["hue"]
    assert len(told["hue"]["retired"]) == 1


def test_a_stolen_key_is_ended_and_the_operator_goes_on(folder: Path) -> None:
    """Commands find their token in endpoints.json."""
    run(folder, "keys", "rotate", "--at-once")

    assert verify(folder, read(folder / "endpoints.json").localities["hue"].token).allows("health.read")
