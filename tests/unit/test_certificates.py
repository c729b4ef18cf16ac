"""Certificates of the embedded default: who gets one, when it is renewed, and how an authority follows another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from mesh.certificate_files import read
from mesh.errors import ConfigurationError
from mesh.identity import EDGE, OPERATOR, SERVICES, Identity, identity_of
from mesh.stack.authority import Lifetimes
from mesh.stack.certificates import Certificates, existing

LIFETIMES = Lifetimes(leaf=timedelta(hours=24), authority=timedelta(days=365), overlap=timedelta(days=30))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def certificates(tmp_path: Path, clock: Clock) -> Certificates:
    """Of Đà Nẵng and Huế."""
    made = Certificates(tmp_path, ["da-nang", "hue"], LIFETIMES, now=clock)
    made.keep()
    return made


def leaf(certificates: Certificates, principal: str = SERVICES, locality: str = "da-nang") -> x509.Certificate:
    return x509.load_pem_x509_certificate((certificates.folder(locality, principal) / "tls.pem").read_bytes())


def signers(certificates: Certificates) -> set[str]:
    """Who has signed the certificates in use."""
    return {held.signer for held in certificates.held() if " of " in held.holder}


def believed(certificates: Certificates) -> list[str]:
    """Authorities every holder believes."""
    bundles = {folder.read_bytes() for folder in certificates.ca.parent.rglob("ca.pem")}
    assert len(bundles) == 1
    subjects = (one.subject.rfc4514_string() for one in x509.load_pem_x509_certificates(bundles.pop()))
    return [subject.removeprefix("CN=") for subject in subjects]


class TestWhoHasWhat:
    def test_every_principal_of_every_locality_has_a_certificate_in_its_name(self, certificates: Certificates) -> None:
        for locality in ("da-nang", "hue"):
            for principal in (SERVICES, EDGE, OPERATOR):
                certified = read(certificates.folder(locality, principal))
                assert certified.identity == Identity(locality, principal)

    def test_the_folders_are_where_their_users_look(self, certificates: Certificates, tmp_path: Path) -> None:
        at = tmp_path / "credentials" / "da-nang"

        assert certificates.credentials("da-nang") == at
        assert [certificates.folder("da-nang", one) for one in (SERVICES, EDGE, OPERATOR)] == [
            at / "tls",
            at / "edge",
            at / "operator",
        ]

    def test_nobody_else_can_read_them(self, certificates: Certificates, tmp_path: Path) -> None:
        files = [file for file in (tmp_path / "credentials").rglob("*") if file.is_file()]

        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}

    def test_one_who_serves_is_found_by_the_name_of_its_locality(
        self, certificates: Certificates, clock: Clock
    ) -> None:
        """Whatever its address; another locality's name does not fit."""
        store = Store(x509.load_pem_x509_certificates(certificates.ca.read_bytes()))
        for name, fits in (
            ("hue.lienthong.internal", True),
            ("localhost", True),
            ("da-nang.lienthong.internal", False),
        ):
            verifier = PolicyBuilder().store(store).time(clock.at).build_server_verifier(x509.DNSName(name))
            if fits:
                verifier.verify(leaf(certificates, locality="hue"), [])
            else:
                with pytest.raises(VerificationError):
                    verifier.verify(leaf(certificates, locality="hue"), [])

    def test_the_edge_cannot_answer_for_the_services(self, certificates: Certificates, clock: Clock) -> None:
        """It is reached from outside: by `localhost`, not by the name its locality's services are called by."""
        store = Store(x509.load_pem_x509_certificates(certificates.ca.read_bytes()))
        verifier = PolicyBuilder().store(store).time(clock.at).build_server_verifier

        verifier(x509.DNSName("localhost")).verify(leaf(certificates, EDGE), [])
        with pytest.raises(VerificationError):
            verifier(x509.DNSName("da-nang.lienthong.internal")).verify(leaf(certificates, EDGE), [])

    def test_the_operator_can_call_and_cannot_serve(self, certificates: Certificates) -> None:
        usages = leaf(certificates, OPERATOR).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

        assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]

    def test_a_folder_without_any_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=str(tmp_path)):
            existing(tmp_path)

    def test_those_of_a_folder_are_found_again(self, certificates: Certificates, tmp_path: Path) -> None:
        holders = [held.holder for held in existing(tmp_path).held()]

        assert holders[0] == "Lienthong authority 1"
        assert set(holders[1:]) == {
            f"{principal} of {locality}" for locality in ("da-nang", "hue") for principal in (SERVICES, EDGE, OPERATOR)
        }


class TestRenewal:
    def test_a_certificate_stays_until_a_third_of_its_life_is_left(
        self, certificates: Certificates, clock: Clock
    ) -> None:
        first = leaf(certificates)

        clock.at += 15 * HOUR
        certificates.keep()
        assert leaf(certificates) == first

        clock.at += 2 * HOUR
        certificates.keep()
        assert leaf(certificates) != first
        assert leaf(certificates).not_valid_after_utc == clock.at + 24 * HOUR

    def test_what_is_missing_or_broken_is_made_again(self, certificates: Certificates) -> None:
        folder = certificates.folder("hue", EDGE)
        (folder / "tls-key.pem").unlink()
        (certificates.folder("hue", OPERATOR) / "tls.pem").write_text("no certificate")

        certificates.keep()

        assert read(folder).identity.principal == EDGE
        assert read(certificates.folder("hue", OPERATOR)).identity.principal == OPERATOR

    def test_all_are_renewed_when_told(self, certificates: Certificates) -> None:
        """The authority stays."""
        first = leaf(certificates), leaf(certificates, EDGE, "hue")

        certificates.renew()

        assert leaf(certificates) != first[0]
        assert leaf(certificates, EDGE, "hue") != first[1]
        assert believed(certificates) == ["Lienthong authority 1"]

    def test_a_certificate_of_a_lost_authority_is_replaced(self, certificates: Certificates, tmp_path: Path) -> None:
        """Also when its successor has the same name."""
        first = leaf(certificates)
        for file in (tmp_path / "credentials" / "authorities").iterdir():
            file.unlink()

        certificates.keep()

        assert leaf(certificates) != first


class TestAuthorities:
    def test_the_next_one_is_believed_before_it_signs(self, certificates: Certificates, clock: Clock) -> None:
        """And the older one as long as it lasts: what it has signed ends before it does."""
        clock.at += 306 * DAY
        certificates.keep()
        assert believed(certificates) == ["Lienthong authority 1", "Lienthong authority 2"]
        assert signers(certificates) == {"Lienthong authority 1"}

        clock.at += 30 * DAY
        certificates.keep()
        assert believed(certificates) == ["Lienthong authority 1", "Lienthong authority 2"]
        assert signers(certificates) == {"Lienthong authority 2"}

        clock.at += 30 * DAY
        certificates.keep()
        assert believed(certificates) == ["Lienthong authority 2"]

    def test_the_key_of_an_ended_one_is_deleted(self, certificates: Certificates, clock: Clock, tmp_path: Path) -> None:
        clock.at += 306 * DAY
        certificates.keep()
        clock.at += 60 * DAY
        certificates.keep()

        assert {file.name for file in (tmp_path / "credentials" / "authorities").iterdir()} == {"2.pem", "2-key.pem"}

    def test_a_new_one_can_be_asked_for(self, certificates: Certificates, clock: Clock) -> None:
        """It takes over when its overlap is over, as one made in time does."""
        clock.at += DAY
        certificates.renew(authority=True)
        assert signers(certificates) == {"Lienthong authority 1"}

        clock.at += 30 * DAY
        certificates.keep()
        assert signers(certificates) == {"Lienthong authority 2"}

    def test_after_a_long_sleep_everything_is_made_anew(self, certificates: Certificates, clock: Clock) -> None:
        """A mesh that was off for two years starts as if it were the first time."""
        clock.at += 730 * DAY
        certificates.keep()

        assert len(believed(certificates)) == 1
        assert leaf(certificates).not_valid_before_utc == clock.at

    def test_no_certificate_outlives_who_signed_it(self, tmp_path: Path, clock: Clock) -> None:
        short = Lifetimes(leaf=10 * DAY, authority=5 * DAY, overlap=DAY)
        certificates = Certificates(tmp_path, ["hue"], short, now=clock)

        certificates.keep()

        assert leaf(certificates, locality="hue").not_valid_after_utc == clock.at + 5 * DAY


def test_an_identity_is_read_back_and_nothing_else_is_one() -> None:
    assert identity_of(Identity("hue", EDGE).uri) == Identity("hue", EDGE)
    for wrong in (
        "",
        "spiffe://lienthong/hue",
        "spiffe://lienthong//edge",
        "spiffe://lienthong/a/b/c",
        "spiffe://x/hue/edge",
    ):
        assert identity_of(wrong) is None
