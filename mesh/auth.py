"""Who calls: tokens a locality signs (JWT, EdDSA), and what they allow.

A locality's own key may grant any scope, `*` grants all. Another locality's key speaks only for its exchange, so its
tokens may carry no scope but those exchanges ask each other with.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mesh.errors import ConfigurationError, PermissionDenied, Unauthenticated

ALL_SCOPES: Final = "*"
PEER_SCOPES: Final = frozenset({"exchange.refill", "exchange.lookup"})
"""What a token of another locality may carry."""

_ALGORITHM: Final = "EdDSA"
_LEEWAY_S: Final = 5.0
"""How far the clocks of two nodes may differ."""
_CACHED_TOKENS: Final = 1024
_BEARER: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a valid token speaks for."""

    subject: str
    locality: str
    """Slug of the locality that signed."""
    scopes: frozenset[str]
    purpose: str = ""
    """What the token is for; empty where it does not say."""

    def allows(self, scope: str) -> bool:
        """Whether the caller has a scope. Nobody has the empty one: an RPC without a scope cannot be called."""
        return bool(scope) and (scope in self.scopes or ALL_SCOPES in self.scopes)

    def require(self, scope: str) -> None:
        """Raises PermissionDenied unless the caller has the scope."""
        if not self.allows(scope):
            raise PermissionDenied(f"the token lacks scope {scope or '(none is declared)'}", scope=scope)


def issue(
    private_key: Ed25519PrivateKey,
    *,
    issuer: str,
    subject: str,
    scopes: Iterable[str],
    audience: str,
    ttl: timedelta,
    now: Callable[[], float] = time.time,
) -> str:
    """A token by which `issuer` lets `subject` call services of the locality `audience`."""
    issued_at = now()
    claims = {
        "iss": issuer,
        "sub": subject,
        "aud": audience,
        "scope": " ".join(sorted(scopes)),
        "iat": int(issued_at),
        "exp": int(issued_at + ttl.total_seconds()),
    }
    return jwt.encode(claims, private_key, algorithm=_ALGORITHM)


class TokenSource:
    """Gives a token to call with, a new one when a third of the old one's life is left."""

    def __init__(
        self,
        private_key: Ed25519PrivateKey,
        *,
        issuer: str,
        subject: str,
        scopes: Iterable[str],
        audience: str,
        ttl: timedelta = timedelta(minutes=5),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._private_key = private_key
        self._issuer, self._subject, self._audience = issuer, subject, audience
        self._scopes = frozenset(scopes)
        self._ttl = ttl
        self._now = now
        self._token = ""
        self._renew_at = 0.0

    def __call__(self) -> str:
        """A token that is valid for a while."""
        now = self._now()
        if now >= self._renew_at:
            self._token = issue(
                self._private_key,
                issuer=self._issuer,
                subject=self._subject,
                scopes=self._scopes,
                audience=self._audience,
                ttl=self._ttl,
                now=self._now,
            )
            self._renew_at = now + self._ttl.total_seconds() * 2 / 3
        return self._token


class Verifier:
    """Tells who a token speaks for. Tokens it has verified are remembered until they expire: verifying takes 100 µs."""

    def __init__(
        self,
        trusted_keys: Mapping[str, Ed25519PublicKey],
        audience: str,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`trusted_keys` by issuer; `audience` is this locality, whose own key is among them."""
        self._trusted_keys = dict(trusted_keys)
        self._audience = audience
        self._now = now
        self._verified: dict[str, tuple[Caller, float]] = {}

    def verify(self, token: str) -> Caller:
        """The caller.

        Raises Unauthenticated (no token, malformed, unknown issuer, wrong audience, expired) and PermissionDenied
        (another locality's token with a scope it cannot grant).
        """
        known = self._verified.get(token)
        caller, expires_at = known if known else self._verify(token)
        if self._now() >= expires_at + _LEEWAY_S:
            self._verified.pop(token, None)
            raise Unauthenticated("the token has expired; get a new one")
        if known is None:
            self._remember(token, caller, expires_at)
        return caller

    def _verify(self, token: str) -> tuple[Caller, float]:
        if not token:
            raise Unauthenticated("no token; send metadata `authorization: Bearer <token>`")
        issuer = self._issuer_of(token)
        try:
            claims = jwt.decode(
                token,
                self._trusted_keys[issuer],
                algorithms=[_ALGORITHM],
                audience=self._audience,
                # Expiry is judged in `verify`, for remembered tokens too. A foreign clock may run ahead of ours.
                options={"require": ["exp", "sub"], "verify_exp": False, "verify_iat": False},
                leeway=_LEEWAY_S,
            )
        except jwt.InvalidAudienceError:
            raise Unauthenticated(f"the token is not for {self._audience}") from None
        except jwt.InvalidTokenError:
            raise Unauthenticated("the token is malformed or its signature is wrong") from None
        return self._caller(issuer, claims), _expiry(claims)

    def _issuer_of(self, token: str) -> str:
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except jwt.InvalidTokenError:
            raise Unauthenticated("the token is malformed") from None
        if not isinstance(issuer, str) or issuer not in self._trusted_keys:
            raise Unauthenticated("the token's issuer is not trusted here")
        return issuer

    def _caller(self, issuer: str, claims: Mapping[str, object]) -> Caller:
        scopes = frozenset(str(claims.get("scope", "")).split())
        if issuer != self._audience and (excess := scopes - PEER_SCOPES):
            named = min(excess)
            raise PermissionDenied(f"a token of {issuer} cannot grant scope {named} here", scope=named)
        return Caller(str(claims["sub"]), issuer, scopes, str(claims.get("purpose", "")))

    def _remember(self, token: str, caller: Caller, expires_at: float) -> None:
        while len(self._verified) >= _CACHED_TOKENS:
            self._verified.pop(next(iter(self._verified)), None)
        self._verified[token] = (caller, expires_at)


def _expiry(claims: Mapping[str, object]) -> float:
    expires_at = claims["exp"]
    if not isinstance(expires_at, int | float):
        raise Unauthenticated("the token is malformed")
    return float(expires_at)


def bearer_token(authorization: str | bytes | None) -> str:
    """Token in the value of the metadata `authorization`; empty when there is none."""
    text = authorization.decode("ascii", "replace") if isinstance(authorization, bytes) else authorization or ""
    return text[len(_BEARER) :].strip() if text[: len(_BEARER)].lower() == _BEARER else ""


def generate_key() -> Ed25519PrivateKey:
    """A new key for a locality."""
    return Ed25519PrivateKey.generate()


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """A private key as an unencrypted PKCS#8 PEM file; make it readable for its owner only."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_text(key: Ed25519PublicKey) -> str:
    """A public key in base64, as the setting `auth.trusted_keys` takes it."""
    return base64.b64encode(key.public_bytes_raw()).decode()


def load_private_key(file: Path) -> Ed25519PrivateKey:
    """Reads a locality's private key. Raises ConfigurationError naming the file."""
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{file}: cannot be read as a private key: {type(error).__name__}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{file}: expected an Ed25519 private key in PEM")
    return key


def load_public_key(text: str) -> Ed25519PublicKey:
    """Public key from raw base64, or from the PEM file of that name. Raises ConfigurationError."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        pass
    try:
        key = serialization.load_pem_public_key(Path(text).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{text}: neither an Ed25519 key in base64 nor a PEM file: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(f"{text}: expected an Ed25519 public key")
    return key


def load_public_keys(texts: Mapping[str, str]) -> dict[str, Ed25519PublicKey]:
    """Trusted keys by issuer, from the setting `auth.trusted_keys`."""
    return {issuer: load_public_key(text) for issuer, text in texts.items()}
