"""Signing keys of the embedded default: what a rotation changes, and what it leaves as it was."""

from __future__ import annotations

import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from mesh.auth import Issuer, Verifier
from mesh.errors import Unauthenticated
from mesh.key_sets import FileKeys
from mesh.stack.keys import LONGEST_TOKEN_LIFE, Keys

HOUR = timedelta(hours=1)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def token(keys: Keys) -> str:
    return keys.token("hue", "desk", ["health.read"], ttl=HOUR)


def verifier(keys: Keys) -> Verifier:
    """One that has just been started."""
    return Verifier({"hue": Issuer(FileKeys(keys.jwks_file("hue")), "hue", "hue")}, "hue")


def published(keys: Keys) -> list[str]:
    return [jwk["kid"] for jwk in json.loads(keys.jwks_file("hue").read_text())["keys"]]


def test_a_token_is_good_where_the_key_set_is_known(keys: Keys) -> None:
    assert verifier(keys).verify(token(keys)).scopes == {"health.read"}


def test_a_key_stays_the_same_until_it_is_rotated(keys: Keys) -> None:
    before = keys.jwks_file("hue").read_bytes()

    assert keys.jwks_file("hue").read_bytes() == before
    assert stat.S_IMODE(keys.file("hue").stat().st_mode) == 0o600


def test_after_a_rotation_the_new_key_signs_and_the_old_one_still_verifies(keys: Keys) -> None:
    """For one who started before it and for one who starts after it."""
    running, old = verifier(keys), token(keys)
    (first,) = published(keys)

    rotation = keys.rotate("hue")

    assert published(keys) == [rotation.key_id, first]
    assert set(rotation.retired) == {first}
    for one in (running, verifier(keys)):
        assert one.verify(old)
        assert one.verify(token(keys))


def test_a_retired_key_goes_when_its_last_token_is_out(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    keys = Keys(tmp_path, now=lambda: now[0])
    published(keys)
    second = keys.rotate("hue")

    now[0] += LONGEST_TOKEN_LIFE.total_seconds() - 10
    third = keys.rotate("hue")
    assert published(keys)[:2] == [third.key_id, second.key_id]
    assert len(published(keys)) == 3

    now[0] += 11

    assert published(keys) == [third.key_id, second.key_id]


def test_a_stolen_key_can_be_ended_at_once(keys: Keys) -> None:
    stolen = token(keys)

    rotation = keys.rotate("hue", at_once=True)

    assert published(keys) == [rotation.key_id]
    with pytest.raises(Unauthenticated):
        verifier(keys).verify(stolen)


def test_a_rotation_cut_short_leaves_the_key_that_signs(keys: Keys) -> None:
    """The new key was made known, and its file never written."""
    private, old = keys.file("hue").read_text(), token(keys)
    abandoned = keys.rotate("hue").key_id
    keys.file("hue").write_text(private)

    assert published(keys)[1:] == [abandoned]
    assert "exp" not in json.loads(keys.jwks_file("hue").read_text())["keys"][0]
    assert verifier(keys).verify(old)


def test_a_folder_of_an_earlier_version_gets_its_key_set(keys: Keys) -> None:
    """It holds the private key alone."""
    keys.file("hue")

    assert verifier(keys).verify(token(keys))
