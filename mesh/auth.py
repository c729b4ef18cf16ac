"""Who calls: signed tokens (JWT), and what they allow.

A token is believed when one of its issuer's keys signed it (`mesh.jwks`). A locality signs tokens of its own, an
identity provider may do so in its stead; both may grant any scope, `*` grants all. Another locality's key speaks only
for its exchange, so its tokens may carry no scope but those exchanges ask each other with.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.config import AuthSettings
from mesh.errors import ConfigurationError, PermissionDenied, Unauthenticated, Unavailable
from mesh.jwks import VerifyingKey, key_id
from mesh.key_sets import KeySet, key_set
from mesh.watched_file import WatchedFile

ALL_SCOPES: Final = "*"
PEER_SCOPES: Final = frozenset({"exchange.refill", "exchange.lookup"})
"""What a token of another locality may carry."""

_ALGORITHM: Final = "EdDSA"
_LEEWAY_S: Final = 5.0
"""How far the clocks of two nodes may differ."""
_CACHED_TOKENS: Final = 1024
_FETCHING_S: Final = 1.0
"""After how long a caller whose issuer's keys are being fetched had better try again."""
_BEARER: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a valid token speaks for."""

    subject: str
    locality: str
    """Slug of the locality it belongs to, which is the one its issuer speaks for."""
    scopes: frozenset[str]
    purpose: str = ""
    """What the caller wants what it asks for; empty when the token names no purpose."""
    token_id: str = field(default="", compare=False)
    """`jti`, for audits; empty when the token has none."""
    expires_at: float = field(default=math.inf, compare=False)
    """When the token no longer proves it, in seconds since 1970."""

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
    purpose: str = "",
    now: Callable[[], float] = time.time,
) -> str:
    """A token by which the locality `issuer` lets `subject` call services of the locality `audience`."""
    issued_at = now()
    claims = {
        "iss": issuer,
        "sub": subject,
        "aud": audience,
        "scope": " ".join(sorted(scopes)),
        "locality": issuer,
        "jti": uuid.uuid4().hex,
        "iat": int(issued_at),
        "exp": int(issued_at + ttl.total_seconds()),
    }
    if purpose:
        claims["purpose"] = purpose
    return jwt.encode(claims, private_key, algorithm=_ALGORITHM, headers={"kid": key_id(private_key.public_key())})


class TokenSource:
    """Gives a token to call with, a new one when a third of the old one's life is left or the key is another."""

    def __init__(
        self,
        key: Callable[[], Ed25519PrivateKey],
        *,
        issuer: str,
        subject: str,
        scopes: Iterable[str],
        audience: str,
        ttl: timedelta = timedelta(minutes=5),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._signed_with: Ed25519PrivateKey | None = None
        self._issuer, self._subject, self._audience = issuer, subject, audience
        self._scopes = frozenset(scopes)
        self._ttl = ttl
        self._now = now
        self._token = ""
        self._renew_at = 0.0

    def __call__(self) -> str:
        """A token that is valid for a while."""
        now, key = self._now(), self._key()
        if now >= self._renew_at or key is not self._signed_with:
            self._signed_with = key
            self._token = issue(
                key,
                issuer=self._issuer,
                subject=self._subject,
                scopes=self._scopes,
                audience=self._audience,
                ttl=self._ttl,
                now=self._now,
            )
            self._renew_at = now + self._ttl.total_seconds() * 2 / 3
        return self._token


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who may sign tokens for this locality's services."""

    keys: KeySet
    locality: str
    """Slug of the locality it speaks for: this one, or another, whose tokens may carry only `PEER_SCOPES`."""
    audience: str
    """What its tokens must name as `aud`."""


def issuers(settings: AuthSettings, locality: str) -> dict[str, Issuer]:
    """Issuers by the name in their tokens, from the setting `auth.issuers`. Raises ConfigurationError."""
    return {
        name: Issuer(key_set(issuer.jwks), issuer.locality or locality, issuer.audience or locality)
        for name, issuer in settings.issuers.items()
    }


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token that was in order."""

    caller: Caller
    expires_at: float
    keys: KeySet
    key: VerifyingKey


class Verifier:
    """Tells who a token speaks for.

    Tokens it has verified are remembered, for verifying takes 100 µs: until they expire, or their key is not in its
    issuer's set any more.
    """

    def __init__(self, issuers: Mapping[str, Issuer], locality: str, *, now: Callable[[], float] = time.time) -> None:
        """`issuers` by the name in their tokens; `locality` is this one."""
        self._issuers = dict(issuers)
        self._locality = locality
        self._now = now
        self._verified: dict[str, _Verified] = {}

    def verify(self, token: str) -> Caller:
        """The caller.

        Raises Unauthenticated (no token, malformed, unknown issuer or key, wrong audience, expired), PermissionDenied
        (another locality's token with a scope it cannot grant) and Unavailable (the issuer is just being asked for its
        keys).
        """
        known = self._verified.get(token)
        if known is None or not self._still_trusted(known):
            self._verified.pop(token, None)
            known = self._verify(token)
            self._remember(token, known)
        if self._now() >= known.expires_at + _LEEWAY_S:
            self._verified.pop(token, None)
            raise Unauthenticated("the token has expired; get a new one")
        return known.caller

    def close(self) -> None:
        """Stops following the issuers' keys."""
        for issuer in self._issuers.values():
            issuer.keys.close()

    def _still_trusted(self, known: _Verified) -> bool:
        return known.keys.find(known.key.id) == known.key and self._now() < known.key.until

    def _verify(self, token: str) -> _Verified:
        if not token:
            raise Unauthenticated("no token; send metadata `authorization: Bearer <token>`")
        name, issuer, key = self._signed_with(token)
        try:
            claims = jwt.decode(
                token,
                key.public,
                algorithms=[key.algorithm],
                audience=issuer.audience,
                # Expiry is judged in `verify`, for remembered tokens too. A foreign clock may run ahead of ours.
                options={"require": ["exp", "sub"], "verify_exp": False, "verify_iat": False},
                leeway=_LEEWAY_S,
            )
        except jwt.InvalidAudienceError:
            raise Unauthenticated(f"the token is not for {issuer.audience}") from None
        except jwt.InvalidTokenError:
            raise Unauthenticated("the token is malformed or its signature is wrong") from None
        expires_at = _expiry(claims)
        return _Verified(self._caller(name, issuer, claims, expires_at), expires_at, issuer.keys, key)

    def _signed_with(self, token: str) -> tuple[str, Issuer, VerifyingKey]:
        """Who says it signed the token, and the key that would prove it."""
        try:
            said = jwt.decode_complete(token, options={"verify_signature": False})
        except jwt.InvalidTokenError:
            raise Unauthenticated("the token is malformed") from None
        name, id = said["payload"].get("iss"), said["header"].get("kid", "")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise Unauthenticated("the token's issuer is not trusted here")
        key = issuer.keys.find(id) if isinstance(id, str) else None
        if key is None and issuer.keys.fetching:
            raise Unavailable(f"the keys of {name} are being fetched", retry_after_s=_FETCHING_S)
        if key is None or self._now() >= key.until:
            raise Unauthenticated(f"the token is signed with a key that is not, or not any more, one of {name}")
        return name, issuer, key

    def _caller(self, name: str, issuer: Issuer, claims: Mapping[str, object], expires_at: float) -> Caller:
        if claims.get("locality", issuer.locality) != issuer.locality:
            raise Unauthenticated(f"{name} cannot speak for another locality than {issuer.locality}")
        scopes = frozenset(_text(claims, "scope").split())
        if issuer.locality != self._locality and (excess := scopes - PEER_SCOPES):
            named = min(excess)
            raise PermissionDenied(f"a token of {name} cannot grant scope {named} here", scope=named)
        subject, purpose, id = (_text(claims, claim) for claim in ("sub", "purpose", "jti"))
        if not subject:
            raise Unauthenticated("the token names no subject")
        return Caller(subject, issuer.locality, scopes, purpose, id, expires_at)

    def _remember(self, token: str, verified: _Verified) -> None:
        while len(self._verified) >= _CACHED_TOKENS:
            self._verified.pop(next(iter(self._verified)), None)
        self._verified[token] = verified


def _text(claims: Mapping[str, object], claim: str) -> str:
    value = claims.get(claim, "")
    if not isinstance(value, str):
        raise Unauthenticated("the token is malformed")
    return value


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


def load_private_key(file: Path) -> Ed25519PrivateKey:
    """Reads a locality's private key. Raises ConfigurationError naming the file."""
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{file}: cannot be read as a private key: {type(error).__name__}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{file}: expected an Ed25519 private key in PEM")
    return key


def signing_key(file: Path) -> WatchedFile[Ed25519PrivateKey]:
    """A locality's private key, as the file holds it at any time. Raises ConfigurationError naming the file."""
    return WatchedFile(file, load_private_key)
