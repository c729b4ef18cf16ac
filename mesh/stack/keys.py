"""Key pairs of the embedded default: one per locality, made on first use, kept in the data folder."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

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
