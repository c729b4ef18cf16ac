"""The cursor as clients carry it: how far each log of the locality has been delivered.

Stream sequence is position in the log, whatever happens to the stream, so a place outlives restarts of the gateway,
of NATS, and streams made anew.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Final
from zlib import crc32

from mesh.errors import InvalidArgument

_PLACE: Final = re.compile(r"([a-z0-9-]+)((?:;[a-z0-9_]+=[0-9]{1,18})*)")
_CHECK_BYTES: Final = 4


class Places:
    """Cursors of one gateway: turns positions, in the order of its services, into text and back."""

    def __init__(self, locality: str, services: Sequence[str]) -> None:
        self.locality = locality
        self.services = tuple(services)

    def text(self, positions: Sequence[int]) -> str:
        """The cursor."""
        return place_text(self.locality, dict(zip(self.services, positions, strict=True)))

    def positions(self, text: str) -> tuple[int | None, ...]:
        """Positions of a cursor; None for a service it does not know. Raises `InvalidArgument`."""
        known = positions_of(text, self.locality)
        return tuple(known.get(service) for service in self.services)


def place_text(locality: str, positions: Mapping[str, int]) -> str:
    """Opaque text of a place: position by service whose log it counts."""
    plain = ";".join([locality, *(f"{service}={position}" for service, position in sorted(positions.items()))]).encode()
    return base64.urlsafe_b64encode(_check(plain) + plain).rstrip(b"=").decode()


def positions_of(text: str, locality: str) -> dict[str, int]:
    """Positions by service. Raises `InvalidArgument` for what no gateway of the locality has given."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _foreign("is no cursor") from None
    check, plain = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    match = _PLACE.fullmatch(plain.decode("ascii", "replace"))
    if match is None or check != _check(plain):
        raise _foreign("is no cursor")
    if match[1] != locality:
        raise _foreign(f"is a cursor of {match[1]}, not of {locality}")
    pairs = (pair.split("=") for pair in match[2].split(";")[1:])
    return {service: int(position) for service, position in pairs}


def _check(plain: bytes) -> bytes:
    return crc32(plain).to_bytes(_CHECK_BYTES, "big")


def _foreign(what: str) -> InvalidArgument:
    return InvalidArgument.field("after_cursor", what, rule="after_cursor")
