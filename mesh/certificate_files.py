"""The folder with a principal's certificate. Somebody else renews it: `lienthong up`, or cert-manager on Kubernetes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mesh.errors import ConfigurationError
from mesh.identity import Identity, identity_of

AUTHORITIES: Final = "ca.pem"
"""Authorities to believe, one after the other."""
CERTIFICATE: Final = "tls.pem"
"""The certificate, and after it what links it to an authority, if anything does."""
KEY: Final = "tls-key.pem"

_FILES: Final = (AUTHORITIES, CERTIFICATE, KEY)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Certified:
    """What the folder holds at a moment."""

    authorities: bytes
    chain: bytes
    key: bytes
    identity: Identity
    expires_at: datetime

    @property
    def expired(self) -> bool:
        """Whether nobody believes it any more."""
        return datetime.now(UTC) >= self.expires_at


class CertificateFiles:
    """A folder with a certificate, its key and the authorities to believe. Changed files are read again."""

    def __init__(self, folder: Path) -> None:
        """Raises ConfigurationError that names what is missing or wrong."""
        self.folder = folder
        self._seen = self._look()
        self._complained_of = self._seen
        self._certified = read(folder)

    def latest(self) -> Certified:
        """Returns what the files hold now; the same object as before unless they have changed.

        While they are being replaced, or are broken, it is what they held before.
        """
        seen = self._look()
        if seen != self._seen:
            try:
                self._certified, self._seen = read(self.folder), seen
            except ConfigurationError as error:
                if seen != self._complained_of:
                    self._complained_of = seen
                    _logger.warning("goes on with the certificate it has: %s", error)
        return self._certified

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        return tuple(_mark(self.folder / name) for name in _FILES)


def read(folder: Path) -> Certified:
    """Reads the folder. Raises ConfigurationError."""
    authorities, chain, key = (_content(folder / name) for name in _FILES)
    certificate = _certificate(folder / CERTIFICATE, chain)
    _certificate(folder / AUTHORITIES, authorities)
    if _public(folder / KEY, key) != certificate.public_key():
        raise ConfigurationError(f"{folder}: {KEY} is not the key of {CERTIFICATE}")
    return Certified(
        authorities, chain, key, _identity(folder / CERTIFICATE, certificate), certificate.not_valid_after_utc
    )


def _names_of(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    """Returns the names a certificate is for; none when it has no such extension."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _identity(file: Path, certificate: x509.Certificate) -> Identity:
    uris = _names_of(certificate).get_values_for_type(x509.UniformResourceIdentifier)
    found = identity_of(uris[0]) if len(uris) == 1 else None
    if found is None:
        raise ConfigurationError(f"{file}: expected one URI spiffe://lienthong/LOCALITY/PRINCIPAL, not {uris}")
    return found


def _mark(file: Path) -> tuple[int, int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0, 0
    return status.st_ino, status.st_mtime_ns, status.st_size


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read ({error.strerror}): the folder of a certificate holds {', '.join(_FILES)}"
        ) from None


def _certificate(file: Path, content: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(content)
    except ValueError:
        raise ConfigurationError(f"{file}: expected a certificate in PEM") from None


def _public(file: Path, content: bytes) -> object:
    try:
        return serialization.load_pem_private_key(content, password=None).public_key()
    except (ValueError, TypeError):
        raise ConfigurationError(f"{file}: expected an unencrypted private key in PEM") from None
