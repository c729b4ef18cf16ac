"""What the broker itself carries, allows and refuses between localities: agreements need no goodwill of a node."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import nats
import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from mesh import sharing
from mesh.config import MIB, RuntimeSettings
from mesh.stack import hub
from mesh.stack.permissions import Pair, Permissions, permissions
from tests.conftest import Nodes

DN, HUE, HN = "da-nang", "hue", "ha-noi"
SUBJECT = "shared.da-nang.hue.dn-hue-air-1.environment.air_quality_alert.0"


async def eventually(check: Callable[[], Awaitable[bool]], within_s: float = 30.0) -> None:
    """Returns when the condition holds."""
    async with asyncio.timeout(within_s):
        while not await check():
            await asyncio.sleep(0.2)


class Site:
    """One locality's own JetStream, as its services see it."""

    def __init__(self, slug: str, client: Client) -> None:
        self.slug = slug
        self.client = client
        self.jetstream: JetStreamContext = client.jetstream(timeout=2)

    async def declare_share(self, recipient: str) -> None:
        subjects = [sharing.shared_filter(self.slug, recipient)]
        await self.jetstream.add_stream(
            StreamConfig(name=sharing.share_stream(self.slug, recipient), subjects=subjects)
        )

    async def share(self, count: int, subject: str = SUBJECT, size: int = 10) -> None:
        for _ in range(count):
            await self.jetstream.publish(subject, b"x" * size)

    async def make_consumer(self, provider: str, name: str, deliver_subject: str) -> None:
        """Makes a consumer on what the provider shares with this locality, as its own server does to source it."""
        stream = sharing.share_stream(provider, self.slug)
        config = {"name": name, "deliver_subject": deliver_subject, "deliver_policy": "all", "ack_policy": "none"}
        reply = f"$JSC.R.{provider}.x.{stream}.{name}.r"
        answers = await self.client.subscribe(reply)
        await self.client.flush()
        request = json.dumps({"stream_name": stream, "config": config}).encode()
        await self.client.publish(
            f"{sharing.api_prefix(provider)}.CONSUMER.CREATE.{stream}.{name}", request, reply=reply
        )
        assert "error" not in json.loads((await answers.next_msg(timeout=5)).data)

    async def received(self) -> int:
        return (await self.jetstream.stream_info(sharing.received_stream(self.slug))).state.messages

    async def has_received(self, count: int, within_s: float = 30.0) -> None:
        """Returns when that many arrived, asking anew for sources that are silent as the exchange does."""

        async def enough() -> bool:
            await sharing.revive_sources(self.jetstream, self.slug)
            return await self.received() >= count

        await eventually(enough, within_s)
        assert await self.received() == count


Join = Callable[[Nodes, str], Awaitable[Site]]


@pytest.fixture
async def join() -> AsyncIterator[Join]:
    """Connects to a locality's server as its services do."""
    clients: list[Client] = []

    async def join(nodes: Nodes, slug: str) -> Site:
        clients.append(await nats.connect(nodes.url(slug), max_reconnect_attempts=-1, reconnect_time_wait=0.1))
        return Site(slug, clients[-1])

    yield join
    for client in clients:
        await client.close()


async def nothing_more_arrives(hue: Site, da_nang: Site, ha_noi: Site, had: int) -> None:
    """Asserts that hue has nothing new although ha-noi, asked in the same way, has all: a proof by comparison."""
    before = await ha_noi.received()
    await da_nang.share(5)
    await da_nang.share(5, SUBJECT.replace("hue", "ha-noi"))
    await ha_noi.has_received(before + 5)
    assert await hue.received() == had


class TestAnAgreement:
    """Of a provider and a recipient whose pair is applied at the hub."""

    async def test_carries_what_the_provider_shares_to_the_recipient(self, two_nodes: Nodes, join: Join) -> None:
        """A message in the share stream arrives in the recipient's stream, and its provider can be told."""
        da_nang, hue = await join(two_nodes, DN), await join(two_nodes, HUE)
        await da_nang.declare_share(HUE)
        two_nodes.apply((DN, HUE))
        await sharing.declare_received(hue.jetstream, HUE, [DN])

        await da_nang.share(10)

        await hue.has_received(10)
        message = await hue.jetstream.get_msg(sharing.received_stream(HUE), 1)
        assert message.subject == SUBJECT
        assert sharing.provider_of(message.headers, HUE, [HN, DN]) == DN

    async def test_keeps_what_the_settings_say(self, two_nodes: Nodes, join: Join) -> None:
        """The recipient's stream has the limits of every stream of its node, also after its sources were asked anew."""
        hue = await join(two_nodes, HUE)
        limits = RuntimeSettings(stream_max_age_days=2, stream_max_bytes=5 * MIB)
        await sharing.declare_received(hue.jetstream, HUE, [DN], limits=limits)

        assert await sharing.revive_sources(hue.jetstream, HUE) == [sharing.share_stream(DN, HUE)]

        config = (await hue.jetstream.stream_info(sharing.received_stream(HUE))).config
        assert (config.max_age, config.max_bytes) == (2 * 86400, 5 * MIB)

    async def test_carries_more_than_one_window_of_flow_control(self, two_nodes: Nodes, join: Join) -> None:
        """With `$JS.FC.` permitted, sourcing does not stall however much there is."""
        da_nang, hue = await join(two_nodes, DN), await join(two_nodes, HUE)
        await da_nang.declare_share(HUE)
        two_nodes.apply((DN, HUE))
        await da_nang.share(1500, size=30_000)

        await sharing.declare_received(hue.jetstream, HUE, [DN])

        await hue.has_received(1500)

    async def test_goes_on_after_the_link_was_cut(self, two_nodes: Nodes, join: Join) -> None:
        """What was shared while the recipient was cut off arrives when it is back, once."""
        da_nang, hue = await join(two_nodes, DN), await join(two_nodes, HUE)
        await da_nang.declare_share(HUE)
        two_nodes.apply((DN, HUE))
        await sharing.declare_received(hue.jetstream, HUE, [DN])
        await da_nang.share(10)
        await hue.has_received(10)

        two_nodes.cut(HUE)
        await da_nang.share(10)
        assert await hue.received() == 10
        two_nodes.rejoin(HUE)

        await hue.has_received(20)

    async def test_goes_on_after_the_recipient_lost_its_streams(self, two_nodes: Nodes, join: Join) -> None:
        """A recipient whose JetStream folder is gone declares its stream again and gets everything again."""
        da_nang, hue = await join(two_nodes, DN), await join(two_nodes, HUE)
        await da_nang.declare_share(HUE)
        two_nodes.apply((DN, HUE))
        await sharing.declare_received(hue.jetstream, HUE, [DN])
        await da_nang.share(10)
        await hue.has_received(10)

        two_nodes.stop()
        shutil.rmtree(two_nodes.bus.store(HUE))
        two_nodes.start()
        hue = await join(two_nodes, HUE)
        await sharing.declare_received(hue.jetstream, HUE, [DN])

        await hue.has_received(10)


class TestARecipientThatLacksASubject:
    """Of a recipient that may do less at the hub than `hub.permissions` says: why each subject is there."""

    @pytest.mark.parametrize(
        ("altered", "first_window_arrives"),
        [
            pytest.param(lambda subject: "" if subject.startswith("$JS.FC.") else subject, True, id="flow-control"),
            pytest.param(lambda subject: "" if subject.startswith("deliver.") else subject, False, id="delivery"),
            pytest.param(
                lambda subject: subject.removesuffix(".>") if subject.startswith("deliver.") else subject,
                False,
                id="all-below-the-delivery-subject",
            ),
            pytest.param(lambda subject: "" if subject.startswith("$JSC.R.") else subject, False, id="replies"),
            pytest.param(lambda subject: "" if ".CONSUMER.CREATE." in subject else subject, False, id="requests"),
        ],
    )
    async def test_stalls_silently(
        self,
        three_nodes: Nodes,
        join: Join,
        monkeypatch: pytest.MonkeyPatch,
        altered: Callable[[str], str],
        first_window_arrives: bool,
    ) -> None:
        """Sourcing stops, at once or after a window, without an error; ha-noi's, fully permitted, brings all."""
        monkeypatch.setattr(hub, "permissions", _altered(permissions, HUE, altered))
        da_nang, hue, ha_noi = [await join(three_nodes, slug) for slug in (DN, HUE, HN)]
        for site in (hue, ha_noi):
            await da_nang.declare_share(site.slug)
        three_nodes.apply((DN, HUE), (DN, HN))
        await da_nang.share(1500, size=30_000)
        await da_nang.share(1500, SUBJECT.replace("hue", "ha-noi"), size=30_000)

        for site in (hue, ha_noi):
            await sharing.declare_received(site.jetstream, site.slug, [DN])

        await ha_noi.has_received(1500)
        info = await hue.jetstream.stream_info(sharing.received_stream(HUE))
        assert info.state.messages < 1500
        assert (info.state.messages > 0) == first_window_arrives
        assert info.sources is not None
        assert info.sources[0].error is None


Granting = Callable[[Iterable[Pair]], dict[str, Permissions]]


def _altered(granting: Granting, slug: str, altered: Callable[[str], str]) -> Granting:
    def grant(pairs: Iterable[Pair]) -> dict[str, Permissions]:
        granted = granting(pairs)
        if slug in granted:
            mine = granted[slug]
            mine.publish = [subject for subject in map(altered, mine.publish) if subject]
            mine.subscribe = [subject for subject in map(altered, mine.subscribe) if subject]
        return granted

    return grant


class TestWithoutAnAgreement:
    """Of localities whose pair is not, or no longer, applied at the hub."""

    async def test_a_recipient_sources_nothing(self, two_nodes: Nodes, join: Join) -> None:
        """A source declared without an agreement stays empty; applied later, it fills."""
        da_nang, hue = await join(two_nodes, DN), await join(two_nodes, HUE)
        await da_nang.declare_share(HUE)
        await sharing.declare_received(hue.jetstream, HUE, [DN])
        await da_nang.share(10)

        assert await hue.received() == 0

        two_nodes.apply((DN, HUE))
        await hue.has_received(10)

    async def test_a_revocation_stops_a_source_that_runs(self, three_nodes: Nodes, join: Join) -> None:
        """After a revocation nothing more arrives, although the recipient keeps asking, also after a restart of all."""
        da_nang, hue, ha_noi = [await join(three_nodes, slug) for slug in (DN, HUE, HN)]
        for site in (hue, ha_noi):
            await da_nang.declare_share(site.slug)
        three_nodes.apply((DN, HUE), (DN, HN))
        for site in (hue, ha_noi):
            await sharing.declare_received(site.jetstream, site.slug, [DN])
        await da_nang.share(10)
        await hue.has_received(10)

        three_nodes.apply((DN, HN))
        await nothing_more_arrives(hue, da_nang, ha_noi, had=10)

        three_nodes.stop()
        three_nodes.start()
        three_nodes.wait_linked()
        da_nang, hue, ha_noi = [await join(three_nodes, slug) for slug in (DN, HUE, HN)]
        await nothing_more_arrives(hue, da_nang, ha_noi, had=10)

    async def test_a_declaration_ends_a_source_from_before_a_restart(self, two_nodes: Nodes, join: Join) -> None:
        """A stream keeps its sources over a restart, and uses them; declared without them, it no longer does."""
        da_nang, hue = await join(two_nodes, DN), await join(two_nodes, HUE)
        await da_nang.declare_share(HUE)
        two_nodes.apply((DN, HUE))
        await sharing.declare_received(hue.jetstream, HUE, [DN])
        two_nodes.stop()
        two_nodes.start()
        da_nang, hue = await join(two_nodes, DN), await join(two_nodes, HUE)
        await da_nang.share(1)
        await hue.has_received(1)  # the trap: nobody asked for it in this run

        info = await sharing.declare_received(hue.jetstream, HUE, [])
        await da_nang.share(10)

        assert not info.config.sources
        assert not (await hue.jetstream.stream_info(sharing.received_stream(HUE))).sources
        assert await hue.received() == 1

    async def test_a_purge_is_done_on_both_sides(self, two_nodes: Nodes, join: Join) -> None:
        """A purge at the provider is not replicated; the recipient purges its own copy, of that agreement only."""
        da_nang, hue = await join(two_nodes, DN), await join(two_nodes, HUE)
        await da_nang.declare_share(HUE)
        two_nodes.apply((DN, HUE))
        await sharing.declare_received(hue.jetstream, HUE, [DN])
        await da_nang.share(3)
        await da_nang.share(2, SUBJECT.replace("air-1", "flood-1"))
        await hue.has_received(5)

        await sharing.purge_shared(da_nang.jetstream, DN, HUE, "dn-hue-air-1")
        assert (await da_nang.jetstream.stream_info(sharing.share_stream(DN, HUE))).state.messages == 2
        assert await hue.received() == 5

        await sharing.purge_received(hue.jetstream, DN, HUE, "dn-hue-air-1")
        assert await hue.received() == 2


class TestARawClientOfHue:
    """Of somebody at hue who speaks NATS and keeps to no rules."""

    async def test_cannot_log_in_at_the_hub(self, two_nodes: Nodes) -> None:
        """The key of a leaf link opens nothing but a leaf link."""
        nkey = two_nodes.bus._leaves[HUE]

        with pytest.raises(nats.errors.Error):
            await nats.connect(two_nodes.bus.hub.server.url, **nkey.as_options(), allow_reconnect=False)

    @pytest.mark.parametrize("agreement", [False, True], ids=["without-agreement", "with-agreement"])
    @pytest.mark.parametrize(
        ("request_subject", "body"),
        [
            ("INFO", {}),
            ("STREAM.NAMES", {}),
            ("STREAM.LIST", {}),
            ("STREAM.INFO.SHARED_DA_NANG_TO_HUE", {}),
            ("STREAM.MSG.GET.SHARED_DA_NANG_TO_HUE", {"seq": 1}),
            ("DIRECT.GET.SHARED_DA_NANG_TO_HUE", {"seq": 1}),
            ("STREAM.MSG.GET.EVENTS_DA_NANG_ENVIRONMENT", {"seq": 1}),
            ("STREAM.PURGE.SHARED_DA_NANG_TO_HUE", {}),
            ("STREAM.DELETE.EVENTS_DA_NANG_ENVIRONMENT", {}),
            ("CONSUMER.LIST.SHARED_DA_NANG_TO_HA_NOI", {}),
            ("CONSUMER.CREATE.EVENTS_DA_NANG_ENVIRONMENT", {"config": {"ack_policy": "none"}}),
            ("CONSUMER.CREATE.SHARED_DA_NANG_TO_HA_NOI", {"config": {"ack_policy": "none"}}),
            ("CONSUMER.MSG.NEXT.SHARED_DA_NANG_TO_HUE.any", {"batch": 1}),
        ],
    )
    async def test_gets_no_answer_from_da_nang(
        self, two_nodes: Nodes, join: Join, agreement: bool, request_subject: str, body: dict[str, object]
    ) -> None:
        """Listing, reading, purging, and consumers on any stream but its own: nobody answers, agreement or not."""
        da_nang, hue = await join(two_nodes, DN), await join(two_nodes, HUE)
        await da_nang.declare_share(HUE)
        await da_nang.share(1)
        if agreement:
            two_nodes.apply((DN, HUE))

        with pytest.raises((NoRespondersError, NatsTimeoutError)):
            await hue.client.request(f"$JS.{DN}.API.{request_subject}", json.dumps(body).encode(), timeout=0.3)

        here = await da_nang.client.request(f"$JS.{DN}.API.STREAM.INFO.SHARED_DA_NANG_TO_HUE", b"", timeout=2)
        assert json.loads(here.data)["state"]["messages"] == 1

    async def test_overhears_nothing_of_others(self, three_nodes: Nodes, join: Join) -> None:
        """A subscription to everything hears neither da-nang's events nor what it delivers to ha-noi."""
        da_nang, hue, ha_noi = [await join(three_nodes, slug) for slug in (DN, HUE, HN)]
        for site in (hue, ha_noi):
            await da_nang.declare_share(site.slug)
        await da_nang.jetstream.add_stream(StreamConfig(name="EVENTS_DA_NANG_ENVIRONMENT", subjects=["events.>"]))
        three_nodes.apply((DN, HUE), (DN, HN))
        heard: list[str] = []

        async def note(message: nats.aio.msg.Msg) -> None:
            heard.append(f"{message.subject} {message.reply}")

        for everything in (">", "deliver.>", "events.>", "shared.>", "$JS.>", "$JSC.>", "_INBOX.>"):
            await hue.client.subscribe(everything, cb=note)
        await hue.client.flush()
        await sharing.declare_received(ha_noi.jetstream, HN, [DN])

        await da_nang.jetstream.publish("events.da-nang.environment.air_quality_alert.0", b"secret")
        await da_nang.share(10, SUBJECT.replace("hue", "ha-noi"))
        await ha_noi.has_received(10)
        await hue.client.flush()

        assert [subject for subject in heard if "HA_NOI" in subject or "ha-noi" in subject or "events" in subject] == []

    async def test_cannot_pass_for_another_provider(self, three_nodes: Nodes, join: Join) -> None:
        """What hue publishes as a delivery of da-nang's never reaches ha-noi; its own is known as its own."""
        da_nang, hue, ha_noi = [await join(three_nodes, slug) for slug in (DN, HUE, HN)]
        for site in (da_nang, hue):
            await site.declare_share(HN)
        three_nodes.apply((DN, HN), (HUE, HN))
        await sharing.declare_received(ha_noi.jetstream, HN, [DN, HUE])
        await hue.share(1, "shared.hue.ha-noi.hue-hn-air-1.environment.air_quality_alert.0")
        await ha_noi.has_received(1)
        heard: list[str] = []

        async def note(message: nats.aio.msg.Msg) -> None:
            heard.append(message.subject)

        await ha_noi.client.subscribe(f"{sharing.deliver_prefix(DN, HN)}.>", cb=note)
        await ha_noi.client.flush()
        await hue.client.publish(f"{sharing.deliver_prefix(DN, HN)}.x", b"forged")
        await hue.client.flush()
        await hue.share(1, "shared.hue.ha-noi.hue-hn-air-1.environment.air_quality_alert.0")
        await ha_noi.has_received(2)

        assert heard == []
        message = await ha_noi.jetstream.get_msg(sharing.received_stream(HN), 2)
        assert sharing.provider_of(message.headers, HN, [DN, HUE]) == HUE

    async def test_cannot_turn_a_delivery_against_the_provider(self, two_nodes: Nodes, join: Join) -> None:
        """A consumer on its own share stream that delivers into da-nang's streams or API writes and deletes nothing."""
        da_nang, hue = await join(two_nodes, DN), await join(two_nodes, HUE)
        await da_nang.declare_share(HUE)
        await da_nang.jetstream.add_stream(StreamConfig(name="EVENTS_DA_NANG_HEALTH", subjects=["events.>"]))
        await da_nang.jetstream.publish("events.da-nang.health.advisory.0", b"true")
        two_nodes.apply((DN, HUE))
        await da_nang.jetstream.publish(SUBJECT, b"")  # the API takes an empty body for consent
        targets = [f"$JS.API.STREAM.{verb}.EVENTS_DA_NANG_HEALTH" for verb in ("PURGE", "DELETE")]
        for number, target in enumerate(["events.forged", *targets]):
            await hue.make_consumer(DN, f"against-{number}", target)
        honest = await hue.client.subscribe(f"{sharing.deliver_prefix(DN, HUE)}.honest")
        await hue.make_consumer(DN, "honest", f"{sharing.deliver_prefix(DN, HUE)}.honest")

        await honest.next_msg(timeout=5)

        info = await da_nang.jetstream.stream_info("EVENTS_DA_NANG_HEALTH")
        assert (info.state.messages, info.state.last_seq) == (1, 1)

    async def test_cannot_leave_what_it_had_running(self, two_nodes: Nodes, join: Join) -> None:
        """A consumer hue made on its own share stream while it had an agreement delivers nothing after revocation."""
        da_nang, hue = await join(two_nodes, DN), await join(two_nodes, HUE)
        await da_nang.declare_share(HUE)
        two_nodes.apply((DN, HUE))
        subject = f"{sharing.deliver_prefix(DN, HUE)}.mine"
        mine = await hue.client.subscribe(subject)
        await hue.make_consumer(DN, "mine", subject)
        await da_nang.share(1)
        await mine.next_msg(timeout=5)

        two_nodes.apply()
        await da_nang.share(1)

        with pytest.raises(NatsTimeoutError):
            await mine.next_msg(timeout=1)
