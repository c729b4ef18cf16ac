"""Tokens: whom they name, what they allow, and which are refused."""

import json
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh import auth, jwks
from mesh.auth import Caller, Issuer, TokenSource, Verifier, bearer_token, generate_key, issue
from mesh.errors import ConfigurationError, PermissionDenied, Unauthenticated, Unavailable
from mesh.key_sets import KeySet

OWN, PEER = generate_key(), generate_key()
MINUTE = timedelta(minutes=1)


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(clock: Clock) -> Verifier:
    """Verifier of Đà Nẵng, which knows Huế."""
    return Verifier({"da-nang": issuer("da-nang", OWN), "hue": issuer("hue", PEER)}, "da-nang", now=clock)


def issuer(locality: str, *keys: Ed25519PrivateKey) -> Issuer:
    return Issuer(key_set(*keys), locality, "da-nang")


def key_set(*keys: Ed25519PrivateKey) -> KeySet:
    return KeySet(jwks.parse({"keys": [jwks.public_jwk(key.public_key()) for key in keys]}))


def claims(clock: Clock, **more: object) -> dict[str, object]:
    return {"iss": "da-nang", "sub": "x", "aud": "da-nang", "scope": "*", "exp": int(clock()) + 60, **more}


def token(
    clock: Clock,
    *scopes: str,
    key: Ed25519PrivateKey = OWN,
    issuer: str = "da-nang",
    audience: str = "da-nang",
    ttl: timedelta = MINUTE,
) -> str:
    return issue(key, issuer=issuer, subject="sensor-gateway", scopes=scopes, audience=audience, ttl=ttl, now=clock)


def test_a_token_names_its_caller_and_what_it_may(verifier: Verifier, clock: Clock) -> None:
    caller = verifier.verify(token(clock, "environment.write", "environment.read"))

    assert caller == Caller("sensor-gateway", "da-nang", frozenset({"environment.read", "environment.write"}))
    assert caller.allows("environment.read")
    assert not caller.allows("health.read")


def test_a_star_allows_everything_but_an_rpc_that_declares_no_scope(verifier: Verifier, clock: Clock) -> None:
    """Deny by default: who forgot the scope of an RPC must not have opened it."""
    operator = verifier.verify(token(clock, "*"))

    assert operator.allows("health.read")
    assert not operator.allows("")


def test_a_missing_scope_is_named(verifier: Verifier, clock: Clock) -> None:
    caller = verifier.verify(token(clock, "environment.read"))

    with pytest.raises(PermissionDenied, match=r"health\.read") as refused:
        caller.require("health.read")

    assert refused.value.scope == "health.read"


def test_no_token_is_refused(verifier: Verifier) -> None:
    with pytest.raises(Unauthenticated, match="no token"):
        verifier.verify("")


@pytest.mark.parametrize("given", ["x", "a.b.c", "é.è.ê", "." * 9])
def test_something_else_than_a_token_is_refused(verifier: Verifier, given: str) -> None:
    with pytest.raises(Unauthenticated, match="malformed"):
        verifier.verify(given)


def test_an_expired_token_is_refused_also_when_it_was_verified_before(verifier: Verifier, clock: Clock) -> None:
    given = token(clock, "*", ttl=MINUTE)
    verifier.verify(given)

    clock.seconds += 66

    with pytest.raises(Unauthenticated, match="expired"):
        verifier.verify(given)


def test_a_clock_a_few_seconds_behind_is_no_reason_to_refuse(verifier: Verifier, clock: Clock) -> None:
    given = token(clock, "*", ttl=MINUTE)

    clock.seconds += 63

    assert verifier.verify(given)


def test_an_unknown_issuer_is_refused(verifier: Verifier, clock: Clock) -> None:
    with pytest.raises(Unauthenticated, match="issuer is not trusted"):
        verifier.verify(token(clock, "*", key=generate_key(), issuer="ha-noi"))


def test_a_token_for_another_locality_is_refused(verifier: Verifier, clock: Clock) -> None:
    """Else a node that was called could call on with what it was given."""
    with pytest.raises(Unauthenticated, match="not for da-nang"):
        verifier.verify(token(clock, "*", audience="hue"))


def test_a_peer_cannot_sign_as_us(verifier: Verifier, clock: Clock) -> None:
    with pytest.raises(Unauthenticated, match="not, or not any more, one of da-nang"):
        verifier.verify(token(clock, "*", key=PEER, issuer="da-nang"))


def test_a_peer_cannot_sign_under_the_name_of_our_key(verifier: Verifier, clock: Clock) -> None:
    forged = jwt.encode(claims(clock), PEER, algorithm="EdDSA", headers={"kid": jwks.key_id(OWN.public_key())})

    with pytest.raises(Unauthenticated, match="signature"):
        verifier.verify(forged)


def test_a_peer_may_refill(verifier: Verifier, clock: Clock) -> None:
    caller = verifier.verify(token(clock, "exchange.refill", key=PEER, issuer="hue"))

    assert caller.locality == "hue"
    assert caller.allows("exchange.refill")


@pytest.mark.parametrize("scope", ["*", "environment.read", "exchange.agree"])
def test_a_peer_may_grant_nothing_else(verifier: Verifier, clock: Clock, scope: str) -> None:
    with pytest.raises(PermissionDenied, match="hue cannot grant") as refused:
        verifier.verify(token(clock, "exchange.refill", scope, key=PEER, issuer="hue"))

    assert refused.value.scope == scope


@pytest.mark.parametrize("claim", ["exp", "sub", "aud", "iss"])
def test_a_token_without_a_claim_is_refused(verifier: Verifier, clock: Clock, claim: str) -> None:
    given = claims(clock)
    del given[claim]

    with pytest.raises(Unauthenticated):
        verifier.verify(jwt.encode(given, OWN, algorithm="EdDSA"))


def test_a_token_of_nobody_is_refused(verifier: Verifier, clock: Clock) -> None:
    """Requests are counted, and remembered, by who makes them."""
    given = issue(OWN, issuer="da-nang", subject="", scopes=["*"], audience="da-nang", ttl=MINUTE, now=clock)

    with pytest.raises(Unauthenticated, match="names no subject"):
        verifier.verify(given)


@pytest.mark.parametrize("claim", ["scope", "purpose", "jti", "locality"])
def test_a_claim_that_is_no_text_is_refused(verifier: Verifier, clock: Clock, claim: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(jwt.encode(claims(clock, **{claim: ["*"]}), OWN, algorithm="EdDSA"))


def test_a_token_says_what_for_and_has_a_name_of_its_own(verifier: Verifier, clock: Clock) -> None:
    """An audit tells tokens of one subject apart."""
    one, other = (
        verifier.verify(
            issue(
                OWN,
                issuer="da-nang",
                subject="desk",
                scopes=["health.read"],
                audience="da-nang",
                ttl=MINUTE,
                purpose="public-health-warning",
                now=clock,
            )
        )
        for _ in range(2)
    )

    assert one.purpose == other.purpose == "public-health-warning"
    assert one.token_id
    assert one.token_id != other.token_id


def test_an_issuer_speaks_for_no_locality_but_its_own(verifier: Verifier, clock: Clock) -> None:
    """An identity provider of this locality must not pass for another one's exchange."""
    with pytest.raises(Unauthenticated, match="another locality than da-nang"):
        verifier.verify(jwt.encode(claims(clock, locality="hue"), OWN, algorithm="EdDSA"))


def test_an_identity_provider_has_an_audience_and_a_signature_of_its_own(clock: Clock) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(key.public_key()))
    provider = Issuer(KeySet(jwks.parse({"keys": [jwk | {"kid": "1"}]})), "da-nang", "lienthong-da-nang")
    verifier = Verifier({"https://id.example/": provider}, "da-nang", now=clock)
    given = claims(clock, iss="https://id.example/", aud=["account", "lienthong-da-nang"], scope="health.read")

    caller = verifier.verify(jwt.encode(given, key, algorithm="ES256", headers={"kid": "1"}))

    assert (caller.locality, caller.scopes) == ("da-nang", {"health.read"})


def test_a_key_that_left_the_set_is_not_believed_any_more(clock: Clock) -> None:
    """Also when the token was verified before."""
    old, new = generate_key(), generate_key()
    keys = key_set(old, new)
    verifier = Verifier({"da-nang": Issuer(keys, "da-nang", "da-nang")}, "da-nang", now=clock)
    given = token(clock, "*", key=old)
    verifier.verify(given)

    keys._keys = key_set(new)._keys

    with pytest.raises(Unauthenticated, match="not any more"):
        verifier.verify(given)
    assert verifier.verify(token(clock, "*", key=new))


def test_a_retired_key_is_believed_until_its_time(clock: Clock) -> None:
    jwk = jwks.public_jwk(OWN.public_key(), until=int(clock()) + 30)
    verifier = Verifier(
        {"da-nang": Issuer(KeySet(jwks.parse({"keys": [jwk]})), "da-nang", "da-nang")}, "da-nang", now=clock
    )
    given = token(clock, "*", ttl=10 * MINUTE)
    verifier.verify(given)

    clock.seconds += 31

    with pytest.raises(Unauthenticated, match="not any more"):
        verifier.verify(given)


def test_while_the_issuer_is_asked_for_its_keys_the_caller_may_try_again(clock: Clock) -> None:
    class Asking(KeySet):
        fetching = True

    verifier = Verifier({"da-nang": Issuer(Asking(), "da-nang", "da-nang")}, "da-nang", now=clock)

    with pytest.raises(Unavailable, match="being fetched"):
        verifier.verify(token(clock, "*"))


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_only_our_algorithm_counts(verifier: Verifier, clock: Clock, algorithm: str) -> None:
    """A header that names another algorithm must not choose how the signature is checked."""
    secret = None if algorithm == "none" else OWN.public_key().public_bytes_raw()

    with pytest.raises(Unauthenticated):
        verifier.verify(jwt.encode(claims(clock), secret, algorithm=algorithm))  # type: ignore[arg-type]


def test_a_verified_token_is_not_verified_again(
    verifier: Verifier, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signature costs 100 µs, a call a few hundred."""
    given = token(clock, "*")
    first = verifier.verify(given)
    monkeypatch.setattr(jwt, "decode", None)
    monkeypatch.setattr(jwt, "decode_complete", None)

    assert verifier.verify(given) is first


def test_remembered_tokens_are_bounded(verifier: Verifier, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_CACHED_TOKENS", 3)

    for number in range(10):
        verifier.verify(token(clock, f"scope-{number}"))

    assert len(verifier._verified) == 3


def test_a_token_source_renews_before_the_end(clock: Clock, verifier: Verifier) -> None:
    tokens = TokenSource(
        lambda: OWN, issuer="da-nang", subject="health", scopes=["mesh.log"], audience="da-nang", ttl=MINUTE, now=clock
    )
    first = tokens()
    clock.seconds += 39
    assert tokens() == first

    clock.seconds += 2

    assert tokens() != first
    assert verifier.verify(tokens()).subject == "health"


def test_a_token_source_signs_with_a_new_key_at_once(clock: Clock, verifier: Verifier) -> None:
    key = [PEER]
    tokens = TokenSource(
        lambda: key[0], issuer="da-nang", subject="health", scopes=["mesh.log"], audience="da-nang", now=clock
    )
    with pytest.raises(Unauthenticated):
        verifier.verify(tokens())

    key[0] = OWN

    assert verifier.verify(tokens())


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [("Bearer abc", "abc"), (b"bearer abc ", "abc"), ("Basic abc", ""), ("", ""), (None, ""), ("Bearer", "")],
)
def test_a_token_is_taken_from_metadata(authorization: str | bytes | None, expected: str) -> None:
    assert bearer_token(authorization) == expected


# Keys


def test_a_private_key_survives_being_written_down(tmp_path: Path) -> None:
    private = tmp_path / "private.pem"
    private.write_bytes(auth.private_pem(OWN))

    assert auth.load_private_key(private).private_bytes_raw() == OWN.private_bytes_raw()


def test_a_file_that_holds_no_key_is_named(tmp_path: Path) -> None:
    wrong, missing = tmp_path / "wrong.pem", tmp_path / "missing.pem"
    other = rsa.generate_private_key(65537, 2048)
    wrong.write_bytes(
        other.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )

    with pytest.raises(ConfigurationError, match=r"wrong\.pem: expected an Ed25519"):
        auth.load_private_key(wrong)
    with pytest.raises(ConfigurationError, match=r"missing\.pem"):
        auth.load_private_key(missing)
