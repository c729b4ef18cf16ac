"""Signing keys of the embedded default: one per locality, made on first use and rotated, kept in the data folder.

`SLUG.pem` is the private key that signs now. `SLUG.jwks.json` is the set that everybody verifies with: that key, and
those that signed before it for as long as a token of theirs may be out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mesh import auth, jwks
from mesh.stack.secrets import write_private
from mesh.watched_file import WatchedFile

LONGEST_TOKEN_LIFE: Final = timedelta(days=30)
"""No token of ours lives longer, so after that a key that signs no more can go."""


@dataclass(frozen=True)
class Rotation:
    """What a rotation has changed."""

    key_id: str
    """The key that signs from now on."""
    retired: dict[str, float]
    """Keys that still verify, and until when (Unix time)."""


class Keys:
    """Signing keys of localities."""

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._now = now

    def file(self, locality: str) -> Path:
        """Returns the PEM file with the locality's private key, readable by its owner only."""
        file = self._folder / f"{locality}.pem"
        if not file.exists():
            write_private(file, auth.private_pem(auth.generate_key()).decode())
        return file

    def jwks_file(self, locality: str) -> Path:
        """Returns the JWKS file with the locality's public keys."""
        file = self._jwks(locality)
        self._publish(file, self.private(locality).public_key(), self._retired(locality))
        return file

    def known(self, locality: str) -> bool:
        """Tells whether the locality has a key here."""
        return (self._folder / f"{locality}.pem").exists()

    def private(self, locality: str) -> Ed25519PrivateKey:
        """Returns the key the locality signs with now."""
        return auth.load_private_key(self.file(locality))

    def signing(self, locality: str) -> WatchedFile[Ed25519PrivateKey]:
        """Returns the key the locality signs with at any time."""
        return auth.signing_key(self.file(locality))

    def issuers(self, localities: Iterable[str]) -> dict[str, dict[str, str]]:
        """Returns localities as the setting `auth.issuers` names them."""
        return {slug: {"jwks": str(self.jwks_file(slug)), "locality": slug} for slug in localities}

    def rotate(self, locality: str, *, at_once: bool = False, lead_s: float = 0.0) -> Rotation:
        """Makes a new key and signs with it from now on; those before it verify until their last token is out.

        It is made known `lead_s` before it signs, for those who take a moment to notice. With `at_once` the keys
        before it verify nothing any more, as they must not when somebody else may have them.
        """
        key = auth.generate_key()
        retired = [] if at_once else self._retired(locality, self.private(locality).public_key())
        self._publish(self._jwks(locality), key.public_key(), retired)
        time.sleep(lead_s)
        write_private(self._folder / f"{locality}.pem", auth.private_pem(key).decode())
        return Rotation(jwks.key_id(key.public_key()), {jwk["kid"]: jwk["exp"] for jwk in retired})

    def operator_token(self, locality: str) -> str:
        """Returns a token that allows its bearer everything at the locality."""
        return self.token(locality, "operator", [auth.ALL_SCOPES], ttl=LONGEST_TOKEN_LIFE)

    def token(self, locality: str, subject: str, scopes: Iterable[str], *, ttl: timedelta, purpose: str = "") -> str:
        """Returns a token for calls to the locality."""
        return auth.issue(
            self.private(locality),
            issuer=locality,
            subject=subject,
            scopes=scopes,
            audience=locality,
            ttl=ttl,
            purpose=purpose,
        )

    def _jwks(self, locality: str) -> Path:
        return self._folder / f"{locality}.jwks.json"

    def _retired(self, locality: str, *more: Ed25519PublicKey) -> list[dict[str, Any]]:
        """Returns the keys that sign no more and still verify.

        A key in the file that does not sign and is not marked as retired is one whose rotation was cut short.
        """
        now, file = int(self._now()), self._jwks(locality)
        until = now + int(LONGEST_TOKEN_LIFE.total_seconds())
        signing = jwks.key_id(self.private(locality).public_key())
        found = json.loads(file.read_text())["keys"] if file.exists() else []
        others = [{"exp": until} | jwk for jwk in found if jwk["kid"] != signing]
        return [
            *(jwks.public_jwk(key, until=until) for key in more),
            *(jwk for jwk in others if jwk["exp"] > now),
        ]

    def _publish(self, file: Path, signing: Ed25519PublicKey, retired: Iterable[dict[str, Any]]) -> None:
        text = jwks.document([jwks.public_jwk(signing), *retired])
        if not file.exists() or file.read_text() != text:
            write_private(file, text)
