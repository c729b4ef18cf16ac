"""Key pairs of the embedded default: one per locality, made on first use, kept in the data folder."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mesh import auth
from mesh.stack.secrets import write_private

_OPERATOR_TOKEN_LIFE = timedelta(days=30)


class Keys:
    """Signing keys of localities."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, locality: str) -> Path:
        """Returns the PEM file with the locality's private key, readable by its owner only."""
        file = self._folder / f"{locality}.pem"
        if not file.exists():
            write_private(file, auth.private_pem(auth.generate_key()).decode())
        return file

    def jwks_file(self, locality: str) -> Path:
        """Returns the JWKS file with the locality's public key."""
        file = self._folder / f"{locality}.jwks.json"
        write_private(file, json.dumps({"keys": [_jwk(self.private(locality).public_key())]}, indent=2) + "\n")
        return file

    def private(self, locality: str) -> Ed25519PrivateKey:
        """Returns the locality's private key."""
        return auth.load_private_key(self.file(locality))

    def public(self, locality: str) -> str:
        """Returns the locality's public key as `auth.trusted_keys` takes it."""
        return auth.public_text(self.private(locality).public_key())

    def operator_token(self, locality: str) -> str:
        """Returns a token that allows its bearer everything at the locality."""
        return auth.issue(
            self.private(locality),
            issuer=locality,
            subject="operator",
            scopes=[auth.ALL_SCOPES],
            audience=locality,
            ttl=_OPERATOR_TOKEN_LIFE,
        )


def _jwk(key: Ed25519PublicKey) -> dict[str, str]:
    """RFC 8037; its id is the thumbprint of RFC 7638."""
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(key.public_bytes_raw())}
    thumbprint = hashlib.sha256(json.dumps(jwk, separators=(",", ":")).encode()).digest()
    return jwk | {"alg": "EdDSA", "use": "sig", "kid": _base64url(thumbprint)}


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
