"""Two localities with real servers between them: what an agreement carries, what it does not, and what no cut loses."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from lienthong.exchange import v1 as pb
from lienthong.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from mesh.config import Settings, load
from mesh.events import catalogue
from mesh.host import Host
from mesh.sharing import received_stream, share_stream
from mesh.stack.ports import free_port
from services.exchange.service import ExchangeService
from services.exchange.settings import ExchangeSettings
from tests.conftest import Nodes, RunningMongod
from tests.hosts import Home, eventually, record_request
from tests.trial.contract import AmountForgotten, AmountRecorded
from tests.trial.services import TrialService, WitnessService

DN, HUE = "da-nang", "hue"
TYPE = "trial.v1.AmountRecorded"
AGREEMENT = "dn-hue-trial-1"


class Side(Home):
    """One of the two localities: its services, and its exchange as an operator sees it."""

    services: tuple[type[Any], ...]
    peers: dict[str, str]
    trusted: dict[str, str]
    port: int
    host: Host

    def settings(self, **given: Any) -> Settings:
        own = super().settings()
        auth = {"private_key_file": str(own.auth.private_key_file), "trusted_keys": self.trusted}
        return load(
            {},
            sections={"exchange": ExchangeSettings},
            locality=self.locality,
            mongodb_uri=self.mongodb_uri,
            nats_url=self.nats_url,
            grpc_port=self.port,
            peers=self.peers,
            auth=auth,
            runtime={"workers": 8, "member_ttl_s": 2},
            exchange={"receipts_every_s": 0.5},
            **given,
        )

    async def run(self) -> None:
        self.host = await self.start(*self.services)

    async def halt(self) -> None:
        await self.stop(self.host)

    async def ask(self, method: str, request: Any, token: str = "") -> Any:
        stub = ExchangeServiceStub(self.channel(self.host))
        metadata = [("authorization", f"Bearer {token or self.token('*')}")]
        return await getattr(stub, method)(request, metadata=metadata, timeout=20, wait_for_ready=True)

    async def apply(self, agreement: pb.Agreement) -> pb.Agreement:
        request = pb.ApplyAgreementRequest(request_id=uuid.uuid4().hex, agreement=agreement)
        return (await self.ask("ApplyAgreement", request)).agreement

    async def move(self, verb: str, agreement: str = AGREEMENT) -> pb.Agreement:
        request = getattr(pb, f"{verb}AgreementRequest")(request_id=uuid.uuid4().hex, agreement_id=agreement)
        return (await self.ask(f"{verb}Agreement", request)).agreement

    async def agreement(self, id: str = AGREEMENT) -> pb.Agreement:
        return (await self.ask("GetAgreement", pb.GetAgreementRequest(agreement_id=id))).agreement

    async def quarantine(self) -> list[pb.QuarantinedEvent]:
        return list((await self.ask("ListQuarantine", pb.ListQuarantineRequest())).events)

    def shared_log(self, to: str) -> list[dict[str, Any]]:
        return list(self.database("exchange")[f"log.shared-{to}"].find().sort("_id"))

    async def record(self, amounts: Iterable[int], key: str = "a") -> None:
        """One after the other, so that the order is known."""
        trial = self.trial(self.host)
        for amount in amounts:
            await trial.record(key, amount)


class Border:
    """Both sides, and the bus between them."""

    def __init__(self, provider: Side, recipient: Side, nodes: Nodes) -> None:
        self.provider, self.recipient, self.nodes = provider, recipient, nodes

    async def join(self, *agreements: pb.Agreement) -> None:
        """Applies agreements on both sides, the recipient first, and lets the pair through the hub."""
        await self.let_through()
        for agreement in agreements or (agreement_of(),):
            await self.recipient.apply(agreement)
            await self.provider.apply(agreement)

    async def let_through(self) -> None:
        await asyncio.to_thread(self.nodes.apply, (DN, HUE))

    async def seen(self, count: int, key: str = "a", within_s: float = 30) -> list[int]:
        """Sequences the witness saw, once they are that many; nothing may be seen twice or out of order."""
        await eventually(lambda: len(self.recipient.seen(key)) >= count, within_s=within_s)
        found = self.recipient.seen(key)
        assert found == list(range(1, count + 1))
        return found

    async def settle(self, key: str = "end") -> None:
        """Returns when all that was shared before has been handled: one more event has crossed."""
        before = len(self.recipient.seen(key))
        await self.provider.record([1], key)
        await eventually(lambda: len(self.recipient.seen(key)) > before, within_s=30)


def agreement_of(id: str = AGREEMENT, fields: Iterable[str] = ("key", "amount"), **given: Any) -> pb.Agreement:
    agreement = pb.Agreement(
        id=id,
        provider=DN,
        recipient=HUE,
        purpose="trial",
        legal_basis="decree-278-2025/art-7",
        events=[pb.SharedEvent(type=TYPE, fields=fields)],
    )
    agreement.valid_from.FromDatetime(given.get("valid_from", datetime(2026, 1, 1, tzinfo=UTC) - timedelta(days=3650)))
    agreement.valid_until.FromDatetime(given.get("valid_until", datetime(2099, 1, 1, tzinfo=UTC)))
    if "start" in given:
        agreement.start.FromDatetime(given["start"])
    return agreement


@pytest.fixture
async def border(two_nodes: Nodes, mongod: RunningMongod, tmp_path: Path) -> AsyncIterator[Border]:
    """da-nang with the trial service, hue with the witness, an exchange each; nothing is agreed yet."""
    for event in (AmountRecorded, AmountForgotten):
        catalogue().add(event)
    sides = [_side(two_nodes, mongod, slug, tmp_path) for slug in (DN, HUE)]
    for side in sides:
        side.wipe()
        side.trusted = {other.locality: _public(other) for other in sides}
        side.peers = {other.locality: f"127.0.0.1:{other.port}" for other in sides if other is not side}
    provider, recipient = sides
    provider.services = (TrialService, ExchangeService)
    recipient.services = (WitnessService, ExchangeService)
    await asyncio.gather(*(side.run() for side in sides))
    try:
        yield Border(provider, recipient, two_nodes)
    finally:
        for side in sides:
            await side.close()
            side.wipe()
            side.forget()


def _side(nodes: Nodes, mongod: RunningMongod, slug: str, folder: Path) -> Side:
    class Bus:
        url = nodes.url(slug)

    side = Side(slug, mongod, Bus(), folder)
    side.port = free_port()
    side.trusted, side.peers = {}, {}
    return side


def _public(side: Side) -> str:
    from mesh.auth import public_text

    return public_text(side.key.public_key())


class TestAnActiveAgreement:
    """What crosses, and as what."""

    async def test_lets_an_event_become_an_effect_in_the_other_locality(self, border: Border) -> None:
        """Only the agreed fields cross; the others are named as withheld, and the event keeps what it was born with."""
        await border.join()

        await border.provider.trial(border.provider.host).record("a", 5, note="for da-nang's eyes")

        await border.seen(1)
        [born], [arrived] = border.provider.log(), border.recipient.log("exchange")
        assert AmountRecorded.FromString(arrived["data"]) == AmountRecorded(key="a", amount=5)
        assert b"eyes" in born["data"]
        assert arrived["subject"].startswith("events.da-nang.trial.amount.")
        assert arrived["headers"]["ce-withheld"] == "note"
        assert arrived["headers"]["ce-agreement"] == AGREEMENT
        kept = ("ce-id", "ce-source", "ce-time", "ce-originsequence", "ce-keyrevision", "ce-correlationid")
        assert {name: arrived["headers"][name] for name in kept} == {name: born["headers"][name] for name in kept}
        assert (await border.provider.agreement()).carried == (await border.recipient.agreement()).carried == 1

    async def test_carries_what_happens_from_the_moment_it_is_applied(self, border: Border) -> None:
        """What happened before stays, what happens right after crosses."""
        await border.let_through()
        await border.recipient.apply(agreement_of())
        await border.provider.record([1, 2, 3])
        await border.provider.apply(agreement_of())
        await border.provider.record([4, 5])

        await border.seen(2)

        assert border.recipient.sightings()["a"]["total"] == 9

    async def test_with_a_start_carries_what_the_log_still_holds(self, border: Border) -> None:
        """An agreed start lies before the agreement was applied."""
        await border.let_through()
        await border.provider.record([1, 2])
        start = datetime.now(UTC)
        await border.provider.record([3, 4])
        for side in (border.recipient, border.provider):
            await side.apply(agreement_of(start=start))

        await border.seen(2)

        assert border.recipient.sightings()["a"]["total"] == 7

    async def test_keeps_the_order_of_every_key_under_load(self, border: Border) -> None:
        """Hundreds of events at once over all partitions: each arrives once, those of a key in order."""
        await border.join()
        keys = [f"k{n}" for n in range(20)]

        requests = [record_request(key) for _, key in itertools.product(range(20), keys)]
        await border.provider.trial(border.provider.host).record_many(requests)

        for key in keys:
            await eventually(lambda key=key: len(border.recipient.seen(key)) >= 20, within_s=30)
            assert sorted(border.recipient.seen(key)) == border.recipient.seen(key)
            assert len(border.recipient.seen(key)) == 20
        await eventually(lambda: len(border.recipient.log("exchange")) == 400)
        assert (await border.provider.agreement()).carried == 400
