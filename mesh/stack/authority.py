"""The certificate authority of the embedded default: made on first use, replaced before it ends.

An authority's successor is believed for a while before it signs anything: by then everybody has it, also who copied
`ca.pem`. From then on it signs, and the older one is believed until it ends.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.identity import Identity
from mesh.stack.secrets import write_private

Now = Callable[[], datetime]

_LOOPBACK: Final = ipaddress.ip_address("127.0.0.1")


@dataclass(frozen=True)
class Lifetimes:
    """How long certificates are believed."""

    leaf: timedelta = timedelta(hours=24)
    """Of a principal's certificate; it is renewed when a third is left."""
    authority: timedelta = timedelta(days=365)
    """Of an authority."""
    overlap: timedelta = timedelta(days=30)
    """How long a new authority is believed before it signs, and the older one at least after that."""


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str


@dataclass(frozen=True)
class Authority:
    """One that can sign."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def issue(self, identity: Identity, hosts: Sequence[str], *, at: datetime, life: timedelta) -> Issued:
        """Signs a certificate for a principal: to call with and, if it has hosts, to answer with under these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        ends_at = min(at + life, self.certificate.not_valid_after_utc)
        builder = _certificate(x509.Name([]), self.certificate.subject, key, at, ends_at)
        builder = builder.add_extension(_names(identity, hosts), critical=True)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_uses(serves=bool(hosts)), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
        )
        return Issued(_pem(builder.sign(self.key, hashes.SHA256())), _key_pem(key))

    def signed(self, certificate: x509.Certificate) -> bool:
        """Whether a certificate is its work."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


class Authorities:
    """Those of one folder: `1.pem`, `1-key.pem`, then `2.pem` …; what has ended is deleted."""

    def __init__(self, folder: Path, lifetimes: Lifetimes, now: Now) -> None:
        self._folder = folder
        self._lifetimes = lifetimes
        self._now = now

    def keep(self) -> None:
        """Makes the first one, or the next one when it is time; forgets those that have ended."""
        for file, certificate in self._all():
            if certificate.not_valid_after_utc <= self._now():
                _key_file(file).unlink(missing_ok=True)
                file.unlink()
        left = self._all()
        if not left or left[-1][1].not_valid_after_utc - self._now() < 2 * self._lifetimes.overlap:
            self.add()

    def add(self) -> None:
        """Makes the next one. It signs when the overlap is over, or at once if it is the only one."""
        number = max((int(file.stem) for file, _ in self._all()), default=0) + 1
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Lienthong authority {number}")])
        ends_at = self._now() + self._lifetimes.authority
        builder = _certificate(name, name, key, self._now(), ends_at)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_SIGNS, critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        file = self._folder / f"{number}.pem"
        write_private(_key_file(file), _key_pem(key))
        write_private(file, _pem(builder.sign(key, hashes.SHA256())))

    def believed(self) -> list[x509.Certificate]:
        """Returns all, the oldest first."""
        return [certificate for _, certificate in self._all()]

    def bundle(self) -> str:
        """Returns all in PEM."""
        return "".join(_pem(certificate) for certificate in self.believed())

    def signer(self) -> Authority:
        """Returns the newest that has been believed for long enough; failing that, the oldest."""
        known = self._all()
        since = self._now() - self._lifetimes.overlap
        long_known = [entry for entry in known if entry[1].not_valid_before_utc <= since]
        file, certificate = long_known[-1] if long_known else known[0]
        key = serialization.load_pem_private_key(_key_file(file).read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return Authority(certificate, key)

    def _all(self) -> list[tuple[Path, x509.Certificate]]:
        files = sorted(_certificate_files(self._folder), key=lambda file: int(file.stem))
        return [(file, x509.load_pem_x509_certificate(file.read_bytes())) for file in files]


_SIGNS: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins_at: datetime, ends_at: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins_at)
        .not_valid_after(ends_at)
    )


def _names(identity: Identity, hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    loopback = [x509.IPAddress(_LOOPBACK)] if hosts else []
    return x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier(identity.uri), *map(x509.DNSName, hosts), *loopback]
    )


def _uses(*, serves: bool) -> x509.ExtendedKeyUsage:
    server = [ExtendedKeyUsageOID.SERVER_AUTH] if serves else []
    return x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, *server])


def _certificate_files(folder: Path) -> Iterable[Path]:
    return (file for file in folder.glob("*.pem") if file.stem.isdigit())


def _key_file(file: Path) -> Path:
    return file.with_name(f"{file.stem}-key.pem")


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def system_now() -> datetime:
    """Returns the machine's time."""
    return datetime.now(UTC)
