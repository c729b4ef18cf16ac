"""Certificates of the embedded default: one for each principal, renewed while the stack runs.

`<data>/credentials` holds `authorities/`, `ca.pem` (all authorities, for who calls from outside), and per locality a
folder for each principal: `tls/` of the process with its services, `edge/`, `operator/`. See `mesh.certificate_files`.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from mesh.certificate_files import AUTHORITIES, CERTIFICATE, KEY
from mesh.errors import ConfigurationError
from mesh.identity import EDGE, OPERATOR, SERVICES, Identity, server_name
from mesh.stack.authority import Authorities, Authority, Lifetimes, Now, system_now
from mesh.stack.secrets import write_private
from mesh.tls import PROCESS_FOLDER

_FOLDERS: Final = {SERVICES: PROCESS_FOLDER, EDGE: "edge", OPERATOR: "operator"}
"""Folder of each principal of a locality."""
_LEFT: Final = 1 / 3
"""Part of its life that is left of a certificate when it is renewed."""
_LOOK_EVERY: Final = timedelta(minutes=1)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Held:
    """A certificate as somebody holds it."""

    holder: str
    signer: str
    begins_at: datetime
    ends_at: datetime
    file: Path


class Certificates:
    """All of one data folder. Several processes may renew: one at a time."""

    def __init__(
        self, data: Path, localities: Sequence[str], lifetimes: Lifetimes | None = None, *, now: Now = system_now
    ) -> None:
        self.lifetimes = lifetimes or Lifetimes()
        self._folder = data / "credentials"
        self._localities = localities
        self._now = now
        self._authorities = Authorities(self._folder / "authorities", self.lifetimes, now)

    @property
    def ca(self) -> Path:
        """The file with all authorities to believe."""
        return self._folder / AUTHORITIES

    def credentials(self, locality: str) -> Path:
        """Returns the credentials folder of a locality's process."""
        return self._folder / locality

    def folder(self, locality: str, principal: str) -> Path:
        """Returns the folder of a principal's certificate."""
        return self._folder / locality / _FOLDERS[principal]

    def keep(self) -> None:
        """Makes what is missing, renews what is due, tells everybody whom to believe."""
        with self._alone():
            self._authorities.keep()
            self._spread(every=False)

    def renew(self, *, authority: bool = False) -> None:
        """Renews every certificate now. With `authority` there is a new one, which signs when its overlap is over."""
        with self._alone():
            self._authorities.keep()
            if authority:
                self._authorities.add()
            self._spread(every=True)

    def held(self) -> Iterator[Held]:
        """Lists the authorities, then who holds what."""
        for certificate in self._authorities.believed():
            yield _held(certificate.subject.rfc4514_string().removeprefix("CN="), certificate, self.ca)
        for identity, folder in self._holders():
            own = _read(folder / CERTIFICATE)
            if own is not None:
                yield _held(str(identity), own, folder / CERTIFICATE)

    def _holders(self) -> Iterator[tuple[Identity, Path]]:
        for locality in self._localities:
            for principal in _FOLDERS:
                yield Identity(locality, principal), self.folder(locality, principal)

    def _spread(self, *, every: bool) -> None:
        """Whom to believe comes first: a certificate must not be shown before its authority is known."""
        signer, bundle = self._authorities.signer(), self._authorities.bundle()
        for folder in (self._folder, *(folder for _, folder in self._holders())):
            _write(folder / AUTHORITIES, bundle)
        for identity, folder in self._holders():
            if every or self._is_due(folder, signer):
                issued = signer.issue(identity, _hosts(identity), at=self._now(), life=self.lifetimes.leaf)
                write_private(folder / KEY, issued.key)
                write_private(folder / CERTIFICATE, issued.certificate)
                _log.info("new certificate for %s", identity)

    def _is_due(self, folder: Path, signer: Authority) -> bool:
        certificate = _read(folder / CERTIFICATE)
        if certificate is None or not (folder / KEY).exists():
            return True
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        left = certificate.not_valid_after_utc - self._now()
        return left < life * _LEFT or not signer.signed(certificate)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


async def keep_renewed(certificates: Certificates) -> None:
    """Renews what is due, again and again, until cancelled."""
    pause = min(_LOOK_EVERY, certificates.lifetimes.leaf / 20, certificates.lifetimes.overlap / 20)
    while True:
        await asyncio.sleep(pause.total_seconds())
        try:
            await asyncio.to_thread(certificates.keep)
        except OSError:  # a full disk, say; there is time until the certificates end
            _log.exception("certificates not renewed")


def existing(data: Path) -> Certificates:
    """Returns the certificates of a data folder that has some. Raises ConfigurationError."""
    folder = data / "credentials"
    localities = sorted(entry.name for entry in folder.glob("*/") if (entry / PROCESS_FOLDER).is_dir())
    if not localities:
        raise ConfigurationError(
            f"{folder} holds no certificates; `lienthong up` makes them, or name its folder with --data"
        )
    return Certificates(data, localities)


def _hosts(identity: Identity) -> Sequence[str]:
    """Names to be reached by. The edge, which outsiders reach, must not be able to answer for the services."""
    if identity.principal == OPERATOR:
        return ()
    return ("localhost",) if identity.principal == EDGE else ("localhost", server_name(identity.locality))


def _held(holder: str, certificate: x509.Certificate, file: Path) -> Held:
    signer = certificate.issuer.rfc4514_string().removeprefix("CN=")
    return Held(holder, signer, certificate.not_valid_before_utc, certificate.not_valid_after_utc, file)


def _read(file: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        return None


def _write(file: Path, text: str) -> None:
    """Writes only what has changed: who sees a new file reads everything anew."""
    if not file.exists() or file.read_text() != text:
        write_private(file, text)
