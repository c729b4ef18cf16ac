"""Keys that tokens are verified with: JSON Web Key Sets (RFC 7517).

A set may hold several keys, so that a new one can be known before it signs and an old one until its last token is out.
Each key has one algorithm, whatever the header of a token says.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from mesh.errors import ConfigurationError

ALGORITHMS: Final = ("EdDSA", "ES256", "RS256")
"""Signatures that are believed. No secret shared with the issuer is among them, nor none at all."""

_RSA_BITS: Final = 2048  # RFC 7518, section 3.3


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key of an issuer."""

    id: str
    """`kid`; empty when the set gives it none."""
    algorithm: str
    public: Any
    until: float = math.inf
    """Unix time from which it is not believed any more: that of a key that signs no more, once its tokens are out."""


def key_id(public: Ed25519PublicKey) -> str:
    """Name of a key: its thumbprint (RFC 7638, with the members RFC 8037 names)."""
    members = json.dumps(_members(public), sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(members.encode()).digest())


def public_jwk(public: Ed25519PublicKey, *, until: int | None = None) -> dict[str, Any]:
    """A key as a JWK. `until` is written as `exp`, which readers that do not know it pass over."""
    named = _members(public) | {"kid": key_id(public), "alg": "EdDSA", "use": "sig"}
    return named if until is None else named | {"exp": until}


def document(jwks: Iterable[Mapping[str, Any]]) -> str:
    """A key set as the text of a file."""
    return json.dumps({"keys": list(jwks)}, indent=2) + "\n"


def parse(found: Any) -> tuple[VerifyingKey, ...]:
    """The keys of a set that can verify tokens; others, as for encryption, are passed over.

    Raises ConfigurationError when there is none.
    """
    jwks = found.get("keys") if isinstance(found, Mapping) else None
    keys = tuple(key for jwk in (jwks if isinstance(jwks, list) else ()) if (key := _usable(jwk)) is not None)
    if not keys:
        raise ConfigurationError(f"no key for {', '.join(ALGORITHMS)} in the key set (JWKS)")
    return keys


def read(file: Path) -> tuple[VerifyingKey, ...]:
    """The keys of a file. Raises ConfigurationError naming it."""
    try:
        return parse(json.loads(file.read_text()))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file}: cannot be read as a key set (JWKS): {type(error).__name__}") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error}") from None


def _usable(jwk: Any) -> VerifyingKey | None:
    if not isinstance(jwk, Mapping) or jwk.get("use", "sig") != "sig" or jwk.get("alg", "EdDSA") not in ALGORITHMS:
        return None
    try:
        key = PyJWK(dict(jwk))
    except PyJWTError:
        return None
    if key.algorithm_name not in ALGORITHMS or not _strong(key):
        return None
    until = jwk.get("exp", math.inf)
    return VerifyingKey(key.key_id or "", key.algorithm_name, key.key, until if _is_number(until) else 0.0)


def _strong(key: PyJWK) -> bool:
    """Whether it is a public key of the kind and strength its algorithm asks for."""
    match key.algorithm_name:
        case "EdDSA":
            return isinstance(key.key, Ed25519PublicKey)
        case "RS256":
            return isinstance(key.key, RSAPublicKey) and key.key.key_size >= _RSA_BITS
    return isinstance(key.key, EllipticCurvePublicKey) and isinstance(key.key.curve, SECP256R1)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _members(public: Ed25519PublicKey) -> dict[str, str]:
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(public.public_bytes_raw())}


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
