"""Mutual TLS of calls inside: both sides prove who they are, and go on through every renewal of their certificates.

Connections last; a renewed certificate is for new ones. So a server reads changed files at each handshake, a client
opens a new channel beside the old one (`mesh.renewing`), and servers end connections now and then (`mesh.host`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from mesh.certificate_files import AUTHORITIES, CertificateFiles, Certified
from mesh.identity import server_name

PROCESS_FOLDER: Final = "tls"
"""Folder of a process's certificate in its credentials folder."""


def server_credentials(files: CertificateFiles) -> grpc.ServerCredentials:
    """Credentials of a server that lets nobody in without a certificate, by the newest files."""
    served = files.latest()

    def renewed() -> Any:
        """Called at each handshake, one at a time, by threads of gRPC. None: as before."""
        nonlocal served
        latest = files.latest()
        if latest is served:
            return None
        served = latest
        return _configuration(latest)

    return grpc.dynamic_ssl_server_credentials(_configuration(served), renewed, require_client_authentication=True)


def _configuration(certified: Certified) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(certified.key, certified.chain)], root_certificates=certified.authorities
    )


@dataclass(frozen=True, slots=True)
class Tls:
    """How one principal calls one locality's services: as whom, and who must answer."""

    files: CertificateFiles
    locality: str
    """Slug of who must answer, whatever the address."""

    @classmethod
    def of(cls, folder: Path | str) -> Tls:
        """With the certificate in a folder, to the services of the locality it is for. Raises ConfigurationError."""
        files = CertificateFiles(Path(folder))
        return cls(files, files.latest().identity.locality)

    def credentials(self, certified: Certified | None = None) -> grpc.ChannelCredentials:
        """Returns what a channel opened now needs."""
        certified = certified or self.files.latest()
        return grpc.ssl_channel_credentials(certified.authorities, certified.key, certified.chain)

    def options(self) -> list[tuple[str, str]]:
        """Returns the channel options that make it insist on the locality."""
        return [("grpc.ssl_target_name_override", server_name(self.locality))]

    def explained(self, message: str) -> str:
        """Returns what gRPC says about a failed connection, after what it means if a certificate is the cause."""
        meaning = self._meaning(message)
        return f"{meaning} ({message})" if meaning else message

    def _meaning(self, message: str) -> str:
        certified = self.files.latest()
        if certified.expired:
            return f"the certificate in {self.files.folder} expired at {certified.expires_at:%Y-%m-%d %H:%M} UTC"
        if "Hostname Verification" in message:
            return f"who answers is not {self.locality}: its certificate names another locality"
        if "CERTIFICATE_VERIFY_FAILED" in message:
            return (
                f"the certificate of who answers has expired, or no authority in {self.files.folder / AUTHORITIES}"
                " has signed it"
            )
        if "failed to connect" in message and "Socket closed" in message:
            return (
                f"who answers hangs up at once: it may not know the authority of the certificate in {self.files.folder}"
            )
        return ""
