"""Two localities with real servers between them: what an agreement carries, what it does not, and what no cut loses."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import uuid
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

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
    believed: list[str]
    port: int
    host: Host
    exchange: Host
    """The same process, unless a test parts them."""
    receipts_every_s = 0.3

    def settings(self, **given: Any) -> Settings:
        own = super().settings()
        auth = {"private_key_file": str(own.auth.private_key_file), "issuers": self.keys.issuers(self.believed)}
        return load(
            {},
            sections={"exchange": ExchangeSettings},
            locality=self.locality,
            insecure=True,
            mongodb_uri=self.mongodb_uri,
            nats_url=self.nats_url,
            grpc_port=self.port,
            peers=self.peers,
            auth=auth,
            runtime={"workers": 8, "member_ttl_s": 2},
            exchange={"receipts_every_s": self.receipts_every_s},
            **given,
        )

    async def run(self) -> None:
        self.host = self.exchange = await self.start(*self.services)

    async def halt(self) -> None:
        await self.stop(self.host)

    async def ask(self, method: str, request: Any, token: str = "") -> Any:
        stub = ExchangeServiceStub(self.channel(self.exchange))
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
        side.believed = [other.locality for other in sides]
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
    side.believed, side.peers = [], {}
    return side


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

    async def test_reaches_sectors_in_processes_of_their_own(self, border: Border) -> None:
        """Where a log stood is asked over gRPC, and a hole is filled over it."""
        provider, port = border.provider, border.provider.port
        await provider.halt()
        provider.port = free_port()
        provider.host = await provider.start(TrialService)
        address = f"127.0.0.1:{provider.port}"
        provider.port = port
        provider.exchange = await provider.start(ExchangeService, services={"trial": address})
        await border.let_through()
        await provider.record([1, 2])
        start = datetime.now(UTC)
        await provider.record([3, 4, 5])
        jetstream = await provider.jetstream()
        await provider.published(5)
        await jetstream.delete_msg(provider.stream(), 4)

        for side in (border.recipient, provider):
            await side.apply(agreement_of(start=start))

        await border.seen(3)
        assert border.recipient.sightings()["a"]["total"] == 12

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

    async def test_lets_the_provider_forget_what_is_received(self, border: Border) -> None:
        """Receipts tell how far the recipient has committed; entries behind them may expire."""
        await border.join()
        await border.provider.record(range(5))
        await border.seen(5)

        relay = border.provider.host.containers["exchange"].relays["shared-hue"]
        await eventually(lambda: relay.receipted == 5)


class TestWithoutAnAgreement:
    """What does not cross."""

    async def test_nothing_leaves(self, border: Border) -> None:
        """Not even into a share log."""
        await border.let_through()
        await border.provider.record([1, 2, 3])

        assert border.provider.shared_log(HUE) == []
        await border.join()
        await border.settle()
        assert border.recipient.seen("a") == []

    async def test_what_arrives_is_quarantined(self, border: Border) -> None:
        """An agreement the recipient does not know lets nothing in, also when another one of the provider's does."""
        other = agreement_of("dn-hue-other-1")
        other.events[0].type = "trial.v1.AmountForgotten"
        other.events[0].fields[:] = ["key"]
        await border.join(other)
        await border.provider.apply(agreement_of())
        await border.provider.record([1, 2])

        async def refused() -> list[pb.QuarantinedEvent]:
            return await border.recipient.quarantine()

        await eventually(lambda: _as_many(refused, 2))
        assert {event.reason for event in await refused()} == {f"agreement {AGREEMENT} is not known here"}
        assert border.recipient.seen("a") == []

        await border.recipient.apply(agreement_of())
        await border.provider.record([3])
        await border.seen(1)
        assert border.recipient.sightings()["a"]["total"] == 3


class TestAnAgreementThatEnds:
    """Suspended, revoked, expired."""

    async def test_suspended_delivers_nothing_later(self, border: Border) -> None:
        """What happens between suspension and resumption stays, whatever comes after."""
        await border.join()
        await border.provider.record([1])
        await border.seen(1)

        await border.provider.move("Suspend")
        await border.recipient.move("Suspend")
        await border.provider.record([10, 10, 10])
        await border.recipient.move("Resume")
        await border.provider.move("Resume")
        await border.provider.record([2])

        await border.seen(2)
        await border.settle()
        assert border.recipient.sightings()["a"]["total"] == 3
        assert border.recipient.letters("exchange") == border.provider.letters("exchange") == []

    async def test_revoked_during_traffic_shares_nothing_more(self, border: Border) -> None:
        """What the provider had shared when it answered the revocation is all that is ever let in."""
        await border.join()
        stop = asyncio.Event()

        async def traffic(key: str) -> None:
            while not stop.is_set():
                await border.provider.record([1], key)

        flowing = [asyncio.create_task(traffic(f"k{n}")) for n in range(8)]
        await eventually(lambda: len(border.recipient.log("exchange")) > 50, within_s=30)

        carried = (await border.provider.move("Revoke")).carried
        carried = max(carried, (await border.provider.agreement()).carried)
        recorded = {f"k{n}": len(border.provider.logged(f"k{n}")) for n in range(8)}
        await asyncio.sleep(0.5)
        stop.set()
        await asyncio.gather(*flowing)

        assert any(len(border.provider.logged(key)) > count for key, count in recorded.items())
        assert (await border.provider.agreement()).carried == carried
        assert len(border.recipient.log("exchange")) <= carried
        for key in recorded:
            assert len(border.recipient.seen(key)) <= recorded[key]

        await border.recipient.move("Revoke")
        await eventually(lambda: _is_gone(border.provider, share_stream(DN, HUE)))
        assert {entry["type"] for entry in border.provider.shared_log(HUE)} == {"VOID"}
        assert all(entry["data"] == b"" for entry in border.provider.shared_log(HUE))
        received = await border.recipient.jetstream()
        await eventually(lambda: _holds(received, received_stream(HUE), 0))

    async def test_revoked_makes_room_for_other_terms(self, border: Border) -> None:
        """A new agreement about the same events carries from then on, through a new stream."""
        await border.join()
        await border.provider.record([1])
        await border.seen(1)
        await border.provider.move("Revoke")
        await border.recipient.move("Revoke")
        await border.provider.record([10])

        await border.join(agreement_of("dn-hue-trial-2", fields=["*"]))
        await border.provider.record([2])

        await border.seen(2)
        assert border.recipient.sightings()["a"]["total"] == 3

    async def test_expires_by_its_date(self, border: Border) -> None:
        """Both sides end it by themselves."""
        await border.join(agreement_of(valid_until=datetime.now(UTC) + timedelta(seconds=6)))
        await border.provider.record([1])
        await border.seen(1)

        for side in (border.provider, border.recipient):
            await eventually(lambda side=side: _stands(side, pb.AGREEMENT_STATE_EXPIRED))
        await border.provider.record([10])
        await border.join(agreement_of("dn-hue-trial-2"))
        await border.settle()

        assert border.recipient.sightings()["a"]["total"] == 1


class TestAHole:
    """Messages the bus has lost between two localities."""

    @pytest.mark.parametrize("lost", [[1], [2, 3], [4]], ids=["first", "middle", "last-before-the-cut-ended"])
    async def test_before_later_events_is_refilled(self, border: Border, lost: list[int]) -> None:
        """A later event of the line shows the hole; the provider's share log fills it, in order."""
        await self._without_hints(border)
        await border.join()
        await asyncio.to_thread(border.nodes.cut, HUE)
        await border.provider.record(range(4))
        await self._lose(border, lost, of=4)
        await asyncio.to_thread(border.nodes.rejoin, HUE)
        await border.provider.record([4])

        await border.seen(5)
        assert border.recipient.letters("exchange") == []

    async def test_at_the_end_of_a_line_is_refilled(self, border: Border) -> None:
        """No later event shows it, but the provider answers receipts with its heads."""
        await border.join()
        await border.provider.record([0])
        await border.seen(1)
        await asyncio.to_thread(border.nodes.cut, HUE)
        await border.provider.record([1, 2])
        await self._lose(border, [2, 3], of=3)
        await asyncio.to_thread(border.nodes.rejoin, HUE)

        await border.seen(3)

    async def test_of_a_whole_stream_is_refilled(self, border: Border) -> None:
        """The recipient's node loses its JetStream folder: everything arrives again, and nothing twice."""
        await border.join()
        await border.provider.record(range(5))
        await border.seen(5)
        await asyncio.to_thread(self._lose_folder, border)
        await border.provider.record(range(5))

        await border.seen(10, within_s=60)
        await border.settle()
        assert len(border.recipient.log("exchange")) == 11

    @staticmethod
    async def _without_hints(border: Border) -> None:
        """Heads come only with the first receipt."""
        border.recipient.receipts_every_s = 3600
        await border.recipient.halt()
        await border.recipient.run()

    @staticmethod
    async def _lose(border: Border, positions: list[int], of: int) -> None:
        jetstream = await border.provider.jetstream()
        await eventually(lambda: _holds(jetstream, share_stream(DN, HUE), of, last=True))
        for position in positions:
            await jetstream.delete_msg(share_stream(DN, HUE), position)

    @staticmethod
    def _lose_folder(border: Border) -> None:
        border.nodes.stop()
        shutil.rmtree(border.nodes.bus.store(HUE))
        border.nodes.start()
        border.nodes.wait_linked()


class TestARestart:
    """Of the processes on both sides."""

    async def test_of_both_loses_and_doubles_nothing(self, border: Border) -> None:
        """Under load, one after the other, twice."""
        await border.join()
        sent = 0
        for _ in range(2):
            for side in (border.provider, border.recipient):
                await border.provider.record(range(10))
                sent += 10
                await side.halt()
                await side.run()
                await border.provider.record(range(10))
                sent += 10

        await border.seen(sent, within_s=60)
        await border.settle()
        assert len(border.recipient.log("exchange")) == sent + 1
        assert (await border.provider.agreement()).carried == (await border.recipient.agreement()).carried == sent + 1

    async def test_two_processes_of_an_exchange_admit_everything_once(self, border: Border) -> None:
        """Each holds some partitions; when one ends, the other goes on."""
        await border.join()
        border.recipient.port = free_port()
        second = await border.recipient.start(ExchangeService)
        keys = [f"k{n}" for n in range(16)]
        await border.provider.trial(border.provider.host).record_many(record_request(key) for key in keys * 5)
        await border.recipient.stop(second)
        await border.provider.trial(border.provider.host).record_many(record_request(key) for key in keys * 5)

        for key in keys:
            await eventually(lambda key=key: len(border.recipient.seen(key)) >= 10, within_s=60)
        assert len(border.recipient.log("exchange")) == 160


async def _as_many(ask: Any, count: int) -> bool:
    return len(await ask()) == count


async def _stands(side: Side, state: int) -> bool:
    return (await side.agreement()).state == state


async def _is_gone(side: Side, stream: str) -> bool:
    try:
        await (await side.jetstream()).stream_info(stream)
    except NotFoundError:
        return True
    return False


async def _holds(jetstream: JetStreamContext, stream: str, count: int, *, last: bool = False) -> bool:
    try:
        state = (await jetstream.stream_info(stream)).state
    except NotFoundError:
        return False
    return (state.last_seq if last else state.messages) == count
