"""The mesh that faults are done to: the trial sector in two localities, and what they agreed to share."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from lienthong.exchange.v1 import Agreement, ApplyAgreementRequest, RevokeAgreementRequest, SharedEvent
from lienthong.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from mesh.client import open_channel
from mesh.stack import Stack
from mesh.stack.ports import LOOPBACK, free_port
from mesh.stack.process import Child
from mesh.stack.services import serves
from tests.faults.load import TrialAt

TRIAL = "tests.trial.services:TrialService"
WITNESS = "tests.trial.services:WitnessService"
EXCHANGE = "exchange"
GATEWAY = "gateway"
SERVICES = (TRIAL, WITNESS, EXCHANGE, GATEWAY)
PROVIDER, RECIPIENT = "da-nang", "hue"


@asynccontextmanager
async def trial_mesh(folder: Path) -> AsyncIterator[Stack]:
    """Da Nang and Hue; Hue is told what Da Nang records."""
    async with Stack([PROVIDER, RECIPIENT], folder, services=SERVICES) as stack:
        await apply_agreement(stack, "trial", PROVIDER, RECIPIENT)
        yield stack


async def apply_agreement(stack: Stack, id: str, provider: str, recipient: str) -> None:
    """Applies an agreement over amounts at both parties; returns when the hub lets it through."""
    now = datetime.now(UTC)
    agreement = Agreement(
        id=id,
        provider=provider,
        recipient=recipient,
        purpose="fault tests",
        legal_basis="none",
        events=[SharedEvent(type="trial.v1.AmountRecorded", fields=["*"])],
        valid_from=_timestamp(now - timedelta(days=1)),
        valid_until=_timestamp(now + timedelta(days=1)),
        freshness_s=5,
    )
    for locality in (recipient, provider):
        request = ApplyAgreementRequest(request_id=uuid.uuid4().hex, agreement=agreement)
        await _ask(stack, locality, "ApplyAgreement", request)
    async with asyncio.timeout(30):
        while (provider, recipient) not in _hub(stack).applied:
            await asyncio.sleep(0.05)


async def revoke_agreement(stack: Stack, id: str, *localities: str) -> None:
    """Ends an agreement at the localities, in this order."""
    for locality in localities:
        request = RevokeAgreementRequest(request_id=uuid.uuid4().hex, agreement_id=id)
        await _ask(stack, locality, "RevokeAgreement", request)


async def _ask(stack: Stack, locality: str, method: str, request: Any) -> Any:
    metadata = [("authorization", f"Bearer {stack.token(locality)}")]
    async with open_channel(stack.grpc_address(locality), stack.tls(locality)) as channel:
        return await getattr(ExchangeServiceStub(channel), method)(request, metadata=metadata, timeout=20)


def _hub(stack: Stack) -> Any:
    assert stack.bus is not None
    return stack.bus.hub


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


class Twin:
    """A second process of a locality's services, beside the one of the stack, as `lienthong serve` starts it."""

    def __init__(self, stack: Stack, locality: str, services: Sequence[str] = SERVICES) -> None:
        self.place = TrialAt(f"{LOOPBACK}:{free_port()}", stack.token(locality), stack.tls(locality))
        address = self.place.address
        self.child = Child(
            f"{locality}.twin",
            [sys.executable, "-m", "mesh.cli", "serve", *services, "--locality", locality],
            log=stack.data / "logs" / f"{locality}.twin.log",
            env=os.environ | {"LIENTHONG_DATA_DIR": str(stack.data), "LIENTHONG_GRPC_PORT": address.split(":")[1]},
            ready=lambda: serves(address, self.place.tls),
        )

    async def __aenter__(self) -> Twin:
        await self.child.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.child.stop()

    @asynccontextmanager
    async def stopped_at_the_end(self) -> AsyncIterator[None]:
        """For a test that starts it by itself."""
        try:
            yield
        finally:
            await self.child.stop()
