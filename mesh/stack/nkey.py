"""nkeys of the embedded default: one per principal, made on first use, readable by their owner only.

The server knows the public half alone; who logs in signs a nonce. https://docs.nats.io/nats-concepts/security/nkeys
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nkeys

from mesh.bus import inbox_prefix, seed_file
from mesh.stack.secrets import write_private


@dataclass(frozen=True)
class Nkey:
    """A user key pair of one principal."""

    principal: str
    seed: str
    public: str

    def as_config(self) -> dict[str, Any]:
        """Returns how a server's configuration names the user."""
        return {"nkey": self.public}

    def as_options(self) -> dict[str, Any]:
        """Returns what `nats.connect` must be given to log in."""
        return {"nkeys_seed_str": self.seed, "inbox_prefix": inbox_prefix(self.principal)}


def kept_nkey(file: Path, principal: str) -> Nkey:
    """Returns the key whose seed the file holds; the first time it is made."""
    if not file.exists():
        seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
        write_private(file, seed.decode() + "\n")
    text = file.read_text().strip()
    return Nkey(principal, text, nkeys.from_seed(bytearray(text.encode())).public_key.decode())


def nkey_of(credentials: Path, principal: str) -> Nkey:
    """Returns the key of a principal in the credentials of its locality."""
    return kept_nkey(seed_file(credentials, principal), principal)
