"""The folder of a certificate: what is read from it, and what happens while somebody renews it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mesh.certificate_files import CertificateFiles, read
from mesh.errors import ConfigurationError
from mesh.identity import OPERATOR, SERVICES
from mesh.stack.certificates import Certificates
from mesh.tls import Tls


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    made = Certificates(tmp_path, ["hue"])
    made.keep()
    return made


@pytest.fixture
def folder(certificates: Certificates) -> Path:
    return certificates.folder("hue", SERVICES)


def test_unchanged_files_are_not_read_again(folder: Path) -> None:
    files = CertificateFiles(folder)

    assert files.latest() is files.latest()


def test_renewed_files_are(folder: Path, certificates: Certificates) -> None:
    files = CertificateFiles(folder)
    before = files.latest()

    certificates.renew()

    assert files.latest() is not before
    assert files.latest() == read(folder)


def test_half_renewed_files_wait_for_the_other_half(
    folder: Path, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    """A key that does not fit is told once and not used; with its certificate it is."""
    files = CertificateFiles(folder)
    before, old = files.latest(), (folder / "tls.pem").read_bytes()
    certificates.renew()
    new = (folder / "tls.pem").read_bytes()
    (folder / "tls.pem").write_bytes(old)

    with caplog.at_level(logging.WARNING):
        assert files.latest() is before
        assert files.latest() is before
    (folder / "tls.pem").write_bytes(new)

    assert files.latest().chain == new
    assert len(caplog.records) == 1


def test_a_file_that_goes_missing_later_stops_nobody(folder: Path) -> None:
    files = CertificateFiles(folder)
    before = files.latest()

    (folder / "ca.pem").unlink()

    assert files.latest() is before


@pytest.mark.parametrize("name", ["ca.pem", "tls.pem", "tls-key.pem"])
def test_at_the_start_whatever_is_missing_or_wrong_is_named(folder: Path, name: str) -> None:
    (folder / name).write_text("nonsense")
    with pytest.raises(ConfigurationError, match=name):
        CertificateFiles(folder)

    (folder / name).unlink()
    with pytest.raises(ConfigurationError, match=name):
        CertificateFiles(folder)


def test_a_certificate_of_nobody_known_is_refused(folder: Path) -> None:
    """An authority's own names no principal."""
    (folder / "tls.pem").write_bytes((folder / "ca.pem").read_bytes())
    authority = folder.parents[1] / "authorities" / "1-key.pem"
    (folder / "tls-key.pem").write_bytes(authority.read_bytes())

    with pytest.raises(ConfigurationError, match="spiffe://lienthong/LOCALITY/PRINCIPAL"):
        CertificateFiles(folder)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Custom verification check failed: Hostname Verification Check failed.", "who answers is not hue"),
        ("Ssl handshake failed: CERTIFICATE_VERIFY_FAILED", "no authority in"),
        ("failed to connect to all addresses; last error: Socket closed", "hangs up at once"),
    ],
)
def test_what_grpc_says_is_explained(certificates: Certificates, said: str, meant: str) -> None:
    explained = Tls.of(certificates.folder("hue", OPERATOR)).explained(said)

    assert meant in explained
    assert said in explained


def test_what_has_nothing_to_do_with_certificates_is_left_alone(certificates: Certificates) -> None:
    said = "failed to connect to all addresses; last error: Connection refused"

    assert Tls.of(certificates.folder("hue", OPERATOR)).explained(said) == said
