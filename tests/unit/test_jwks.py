"""Key sets: which keys count, and how a change of them is noticed."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mesh import jwks
from mesh.auth import generate_key
from mesh.errors import ConfigurationError
from mesh.key_sets import FileKeys, RemoteKeys

ONE, OTHER = generate_key().public_key(), generate_key().public_key()
RSA = rsa.generate_private_key(65537, 2048).public_key()
P256 = ec.generate_private_key(ec.SECP256R1()).public_key()


def jwk_of(algorithm: str, key: Any, **more: Any) -> dict[str, Any]:
    jwk: dict[str, Any] = json.loads(jwt.get_algorithm_by_name(algorithm).to_jwk(key))
    return {name: value for name, value in jwk.items() if name != "key_ops"} | more


def write(file: Path, *keys: Ed25519PublicKey) -> None:
    """Replaces the file in one step, as whoever rotates keys does."""
    fresh = file.with_suffix(".new")
    fresh.write_text(jwks.document(jwks.public_jwk(key) for key in keys))
    fresh.replace(file)


# Which keys count


def test_a_key_is_named_by_its_thumbprint() -> None:
    """The example of RFC 8037, appendix A.3."""
    x = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")

    assert jwks.key_id(Ed25519PublicKey.from_public_bytes(x)) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize(
    ("jwk", "algorithm"),
    [
        (jwks.public_jwk(ONE), "EdDSA"),
        (jwk_of("EdDSA", ONE), "EdDSA"),
        (jwk_of("ES256", P256), "ES256"),
        (jwk_of("RS256", RSA), "RS256"),
        (jwk_of("RS256", RSA, alg="RS256", use="sig"), "RS256"),
    ],
)
def test_a_key_has_one_algorithm(jwk: dict[str, Any], algorithm: str) -> None:
    assert [key.algorithm for key in jwks.parse({"keys": [jwk]})] == [algorithm]


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "oct", "k": "c2VjcmV0"},
        jwks.public_jwk(ONE) | {"alg": "none"},
        jwks.public_jwk(ONE) | {"alg": "HS256"},
        jwk_of("RS256", RSA, alg="RS512"),
        jwk_of("RS256", RSA, use="enc"),
        jwk_of("RS256", rsa.generate_private_key(65537, 1024).public_key()),
        jwk_of("ES384", ec.generate_private_key(ec.SECP384R1()).public_key(), alg="ES256"),
        jwk_of("EdDSA", generate_key()),
        jwks.public_jwk(ONE)
        | {"crv": "X25519", "x": jwks._base64url(x25519.X25519PrivateKey.generate().public_key().public_bytes_raw())},
        {"kty": "OKP"},
        {},
        "key",
    ],
)
def test_other_keys_are_passed_over(jwk: Any) -> None:
    """A shared secret, a foreign algorithm, a key for encryption, a weak one, a private one, none at all."""
    assert [key.public for key in jwks.parse({"keys": [jwk, jwks.public_jwk(OTHER)]})] == [OTHER]
    with pytest.raises(ConfigurationError, match="no key for EdDSA, ES256, RS256"):
        jwks.parse({"keys": [jwk]})


@pytest.mark.parametrize("text", ["", "[]", '{"keys": 1}', '{"keys": []}', "no JSON"])
def test_a_file_without_keys_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "hue.jwks.json"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match=r"hue\.jwks\.json"):
        FileKeys(file)
    with pytest.raises(ConfigurationError, match=r"missing\.json"):
        FileKeys(tmp_path / "missing.json")


# Keys in a file


def test_a_new_key_in_the_file_is_known_at_once(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    write(file, ONE)
    keys = FileKeys(file)
    assert keys.find(jwks.key_id(OTHER)) is None

    write(file, OTHER, ONE)

    assert keys.find(jwks.key_id(OTHER)) is not None
    assert keys.find(jwks.key_id(ONE)) is not None


def test_a_key_that_left_the_file_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    write(file, OTHER, ONE)
    keys = FileKeys(file)

    write(file, OTHER)
    keys._file._look_at = 0.0  # a second later

    assert keys.find(jwks.key_id(ONE)) is None


def test_a_file_broken_later_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "keys.json"
    write(file, ONE)
    keys = FileKeys(file)

    file.write_text("{")
    assert keys.find("another") is None

    assert keys.find(jwks.key_id(ONE)) is not None
    assert "keys.json: cannot be read" in caplog.text
    os.unlink(file)
    assert keys.find("another") is None
    assert keys.find(jwks.key_id(ONE)) is not None


def test_a_token_that_names_no_key_means_the_only_one(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    write(file, ONE)
    assert FileKeys(file).find("") is not None

    write(file, ONE, OTHER)

    assert FileKeys(file).find("") is None


# Keys at an address


class Provider:
    """An identity provider's key endpoint; counts how often it is asked."""

    def __init__(self) -> None:
        self.keys: list[Ed25519PublicKey] = [ONE]
        self.asked = 0
        self.answered = threading.Condition()
        self.away = False

    def fetch(self) -> Any:
        with self.answered:
            self.asked += 1
            self.answered.notify_all()
            if self.away:
                raise OSError("connection refused")
            return {"keys": [jwks.public_jwk(key) for key in self.keys]}

    def wait_asked(self, times: int) -> None:
        with self.answered:
            assert self.answered.wait_for(lambda: self.asked >= times, timeout=10)


Remote = Callable[..., RemoteKeys]


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def remote(provider: Provider) -> Iterator[Remote]:
    made: list[RemoteKeys] = []

    def make(**given: Any) -> RemoteKeys:
        made.append(RemoteKeys("https://id.example/keys", **{"fetch": provider.fetch, **given}))
        return made[-1]

    yield make
    for keys in made:
        keys.close()


def until_known(keys: RemoteKeys, key: Ed25519PublicKey) -> None:
    done = threading.Event()
    while not done.wait(0.005):
        if keys.find(jwks.key_id(key)) is not None:
            done.set()


def test_a_new_key_at_the_address_is_fetched_when_it_is_first_seen(remote: Remote, provider: Provider) -> None:
    keys = remote(gap_s=0.0)
    until_known(keys, ONE)

    provider.keys = [OTHER, ONE]

    until_known(keys, OTHER)


def test_made_up_keys_do_not_make_us_ask_again_and_again(remote: Remote, provider: Provider) -> None:
    keys = remote(gap_s=60.0)
    until_known(keys, ONE)
    asked = provider.asked

    for number in range(100):
        assert keys.find(f"made-up-{number}") is None

    assert not keys.fetching
    assert provider.asked == asked


def test_keys_are_fetched_anew_from_time_to_time(remote: Remote, provider: Provider) -> None:
    """A key the issuer has withdrawn must not be believed for as long as no other is seen."""
    keys = remote(refresh_s=0.01)
    until_known(keys, ONE)

    provider.keys = [OTHER]

    until_known(keys, OTHER)
    assert keys.find(jwks.key_id(ONE)) is None


def test_what_was_fetched_stays_while_the_issuer_is_away(remote: Remote, provider: Provider) -> None:
    keys = remote(refresh_s=0.01, gap_s=0.01)
    until_known(keys, ONE)

    provider.away = True
    provider.wait_asked(provider.asked + 3)

    assert keys.find(jwks.key_id(ONE)) is not None


def test_an_issuer_that_never_answered_is_still_being_asked(remote: Remote, provider: Provider) -> None:
    provider.away = True
    keys = remote(gap_s=0.01)
    provider.wait_asked(3)

    assert keys.find(jwks.key_id(ONE)) is None
    assert keys.fetching


def test_keys_are_read_from_a_real_address() -> None:
    class Endpoint(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(jwks.document([jwks.public_jwk(ONE)]).encode())

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        keys = RemoteKeys(f"http://127.0.0.1:{server.server_port}/keys")
        until_known(keys, ONE)
        keys.close()
        server.shutdown()
