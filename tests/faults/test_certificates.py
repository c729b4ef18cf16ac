"""Certificates and authorities are replaced under load, and nobody notices."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from mesh.identity import OPERATOR, SERVICES, server_name
from mesh.stack import Happening, Stack
from mesh.stack.authority import Lifetimes
from tests.faults.campaign import Campaign
from tests.faults.trial_mesh import SERVICES as TRIAL_SERVICES
from tests.faults.trial_mesh import apply_agreement

_S = timedelta(seconds=1)
LIFETIMES = Lifetimes(leaf=9 * _S, authority=24 * _S, overlap=6 * _S)
"""Everything is renewed every six seconds. From the 18th on another authority signs; the first one ends at the 24th."""


@pytest.mark.timeout(180)
async def test_no_call_fails_while_certificates_and_their_authority_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither single calls, on connections that are made anew every other second, nor streams that outlast it all."""
    monkeypatch.setenv("LIENTHONG_GRPC_CONNECTION_AGE_S", "2")
    async with Stack(["da-nang", "hue"], tmp_path, services=TRIAL_SERVICES, lifetimes=LIFETIMES) as stack:
        await apply_agreement(stack, "trial", "da-nang", "hue")
        campaign = Campaign(stack, "renewal")
        issued: dict[str, set[object]] = {}
        async with campaign.load(rate=100) as load:
            while "Lienthong authority 1" in _authorities(stack) or len(issued[f"{SERVICES} of da-nang"]) < 3:
                await load.acknowledged(20)
                for held in stack.certificates.held():
                    issued.setdefault(held.holder, set()).add(held.begins_at)
            await load.acknowledged(100)
        shown = await asyncio.to_thread(_shown, stack, "da-nang")
        verdict = await campaign.verdict()

    assert campaign.ledger.failures.total() == 0, campaign.ledger.failures
    assert verdict.clean, str(verdict)
    assert shown.issuer.rfc4514_string() != "CN=Lienthong authority 1"
    assert not [event for event in stack.events if event.happening is Happening.CRASHED]


def _authorities(stack: Stack) -> set[str]:
    return {held.signer for held in stack.certificates.held()}


def _shown(stack: Stack, locality: str) -> x509.Certificate:
    """The certificate the locality's process shows to somebody new."""
    folder = stack.certificates.folder(locality, OPERATOR)
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "tls.pem", folder / "tls-key.pem")
    host, port = stack.grpc_address(locality).split(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=server_name(locality)) as encrypted,
    ):
        shown = encrypted.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown)
