"""The event gateway on real servers: what is delivered, to whom, and from where on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.events.feed import Feed
from gateway.events.place import place_text
from gateway.events.service import EventGateway
from gateway.events.settings import GatewaySettings
from lienthong.gateway.v1 import GetEventTypeRequest, ListEventTypesRequest
from mesh.errors import InvalidArgument, OutOfRange, PermissionDenied, Unauthenticated, Unavailable
from mesh.host import Host
from tests.hosts import Home, eventually
from tests.subscribers import Subscribers, amount_of, amounts
from tests.trial.services import TrialService

RECORDED = "trial.v1.AmountRecorded"


def quick(**settings: object) -> type[EventGateway]:
    """The gateway with other settings than the usual ones."""
    return type("EventGateway", (EventGateway,), {"feed": Feed(GatewaySettings(**settings)), "__doc__": "Quick."})


async def start(home: Home, gateway: type[EventGateway] = EventGateway) -> tuple[Host, Subscribers]:
    host = await home.start(TrialService, gateway)
    return host, Subscribers(home, host)


def feed_of(host: Host) -> Feed:
    [feed] = [found for found in host.containers["gateway"].dependencies if isinstance(found, Feed)]
    return feed


async def followed(home: Home, host: Host, count: int) -> None:
    """Returns when the stream and the gateway's ring have come to that position."""
    await home.published(count)
    await eventually(lambda: feed_of(host).ring.head == (count,))


async def test_an_event_is_delivered_as_a_cloud_event(home: Home) -> None:
    host, subscribers = await start(home)

    async with await subscribers.begin(types=[RECORDED]) as subscriber:
        await home.trial(host).record("a", 7, note="why")
        [event] = await subscriber.events(1)

    assert (event.specversion, event.type, event.subject) == ("1.0", RECORDED, "a")
    assert event.source == f"/{home.locality}/trial"
    assert amount_of(event).note == "why"
    [entry] = home.log()
    assert event.id == entry["headers"]["ce-id"]
    assert event.sequence == entry["headers"]["ce-sequence"]
    assert not event.HasField("withheld")


async def test_a_cloud_events_sdk_reads_its_json(home: Home) -> None:
    host, subscribers = await start(home)
    async with await subscribers.begin(types=[RECORDED]) as subscriber:
        await home.trial(host).record("a", 7)
        [event] = await subscriber.events(1)

    read = JSONFormat().read(CloudEvent, json.dumps(MessageToDict(event)))

    assert read.get_type() == RECORDED
    assert read.get_subject() == "a"
    assert read.get_time() == event.time.ToDatetime(UTC)
    assert read.get_extension("keyrevision") == "1"
    assert read.get_data()["amount"] == "7"


async def test_only_what_was_asked_for_is_delivered(home: Home) -> None:
    host, subscribers = await start(home)
    trial = home.trial(host)

    async with (
        await subscribers.begin(keys=["b"]) as of_key,
        await subscribers.begin(types=["trial.v1.AmountForgotten"]) as of_another_type,
        await subscribers.begin(origins=["peers"]) as of_peers,
        await subscribers.begin(origins=["local"], keys=["a", "b"]) as of_both,
    ):
        for n, key in enumerate("abc"):
            await trial.record(key, n)

        assert amounts(await of_key.events(1)) == [1]
        assert amounts(await of_both.events(2)) == [0, 1]
        assert of_another_type.received == of_peers.received == []


async def test_a_field_mask_leaves_out_the_rest(home: Home) -> None:
    host, subscribers = await start(home)

    async with await subscribers.begin(fields={"paths": ["key", "note"]}) as subscriber:
        await home.trial(host).record("a", 7, note="why")
        [event] = await subscriber.events(1)

    message = amount_of(event)
    assert (message.key, message.amount, message.note) == ("a", 0, "why")
    assert not event.HasField("withheld")


async def test_who_resumes_after_a_cursor_misses_nothing_and_sees_nothing_twice(home: Home) -> None:
    host, subscribers = await start(home)
    trial = home.trial(host)
    async with await subscribers.begin() as first:
        for n in range(5):
            await trial.record("a", n)
        await first.events(3)
    cursor = [d.cursor for d in first.deliveries if d.HasField("event")][2]

    async with subscribers.subscribe(after_cursor=cursor) as second:
        await trial.record("a", 5)
        assert amounts(await second.events(3)) == [3, 4, 5]


async def test_who_resumes_behind_the_ring_is_read_to_apart(home: Home) -> None:
    host, subscribers = await start(home, quick(ring_events=3))
    trial = home.trial(host)
    async with await subscribers.begin() as first:
        pass
    for n in range(600):
        await trial.record("a", n)

    async with subscribers.subscribe(after_cursor=first.cursor) as second:
        await trial.record("a", 600)
        assert amounts(await second.events(601)) == list(range(601))


async def test_a_cursor_outlives_the_gateway_and_the_stream(home: Home) -> None:
    host, subscribers = await start(home)
    trial = home.trial(host)
    async with await subscribers.begin() as first:
        await trial.record("a", 0)
        await first.events(1)
    for n in range(1, 5):
        await trial.record("a", n)
    await home.published(5)
    await home.stop(host)
    await (await home.jetstream()).delete_stream(home.stream())

    host, subscribers = await start(home)
    async with subscribers.subscribe(after_cursor=first.cursor) as second:
        await home.trial(host).record("a", 5)
        assert amounts(await second.events(5)) == [1, 2, 3, 4, 5]


async def test_what_the_stream_no_longer_has_comes_from_the_log(home: Home) -> None:
    host, subscribers = await start(home, quick(ring_events=1))
    trial = home.trial(host)
    async with await subscribers.begin() as first:
        pass
    for n in range(10):
        await trial.record("a", n)
    await followed(home, host, 10)
    await (await home.jetstream()).purge_stream(home.stream(), keep=2)

    async with subscribers.subscribe(after_cursor=first.cursor) as second:
        assert amounts(await second.events(10)) == list(range(10))


async def test_a_cursor_below_the_log_is_out_of_range_and_says_so(home: Home) -> None:
    host, subscribers = await start(home, quick(ring_events=1))
    trial = home.trial(host)
    async with await subscribers.begin() as first:
        pass
    for n in range(6):
        await trial.record("a", n)
    await followed(home, host, 6)
    await (await home.jetstream()).purge_stream(home.stream(), keep=2)
    home.database("trial")["log"].delete_many({"_id": {"$lte": 3}})

    async with subscribers.subscribe(after_cursor=first.cursor) as second:
        error = await second.until_ended()

    assert isinstance(error, OutOfRange)
    assert "the log of trial begins at 4" in error.message
    assert second.deliveries == []


async def test_a_cursor_of_a_log_that_is_lost_is_out_of_range(home: Home) -> None:
    _, subscribers = await start(home)

    async with subscribers.subscribe(after_cursor=place_text(home.locality, {"trial": 99})) as subscriber:
        error = await subscriber.until_ended()

    assert isinstance(error, OutOfRange)
    assert "which ends at 0" in error.message


@pytest.mark.parametrize("cursor", ["x", "AAAA", place_text("nowhere", {"trial": 1}), "ä"])
async def test_a_foreign_cursor_is_refused(home: Home, cursor: str) -> None:
    _, subscribers = await start(home)

    async with subscribers.subscribe(after_cursor=cursor) as subscriber:
        error = await subscriber.until_ended()

    assert isinstance(error, InvalidArgument)
    assert error.violations[0].field == "after_cursor"


async def test_a_subscription_from_a_time_begins_with_the_first_event_since(home: Home) -> None:
    host, subscribers = await start(home)
    trial = home.trial(host)
    for n in range(20):
        await trial.record("a", n)
    await home.published(20)
    since = Timestamp()
    since.FromDatetime(home.log()[13]["at"])
    expected = [n for n, entry in enumerate(home.log()) if entry["at"] >= home.log()[13]["at"]]

    async with subscribers.subscribe(start_time=since) as subscriber:
        await trial.record("a", 20)
        assert amounts(await subscriber.events(len(expected) + 1)) == [*expected, 20]


async def test_a_time_before_what_is_kept_is_out_of_range(home: Home) -> None:
    host, subscribers = await start(home)
    for n in range(3):
        await home.trial(host).record("a", n)
    home.database("trial")["log"].delete_many({"_id": 1})
    since = Timestamp()
    since.FromDatetime(datetime.now(UTC) - timedelta(days=365))

    async with subscribers.subscribe(start_time=since) as subscriber:
        assert isinstance(await subscriber.until_ended(), OutOfRange)


async def test_an_unknown_type_is_refused_with_those_that_are_known(home: Home) -> None:
    _, subscribers = await start(home)

    async with subscribers.subscribe(types=["trial.v1.AmountLost"]) as subscriber:
        error = await subscriber.until_ended()

    assert isinstance(error, InvalidArgument)
    assert error.violations[0].field == "types[0]"
    assert RECORDED in error.message


async def test_a_type_whose_scope_is_missing_is_named(home: Home) -> None:
    _, subscribers = await start(home)

    async with subscribers.subscribe(types=[RECORDED], scopes=["events.read", "health.read"]) as subscriber:
        error = await subscriber.until_ended()

    assert isinstance(error, PermissionDenied)
    assert error.scope == "trial.read"
    assert error.noted["types"] == RECORDED
    assert RECORDED in error.message


async def test_without_types_only_readable_ones_are_delivered(home: Home) -> None:
    host, subscribers = await start(home)

    async with (
        await subscribers.begin(scopes=["events.read", "health.read"]) as stranger,
        await subscribers.begin() as reader,
    ):
        await home.trial(host).record("a", 1)
        await reader.events(1)
        assert stranger.received == []


async def test_a_quiet_subscriber_is_sent_its_cursor(home: Home) -> None:
    host, subscribers = await start(home, quick(heartbeat_s=0.1))

    async with await subscribers.begin(keys=["none"]) as quiet:
        for n in range(3):
            await home.trial(host).record("a", n)
        await home.published(3)
        before = quiet.cursor
        while quiet.cursor == before:
            await quiet.next()
        cursor = quiet.cursor

    async with subscribers.subscribe(after_cursor=cursor) as resumed:
        await home.trial(host).record("a", 3)
        assert set(amounts(await resumed.events(1))) <= {1, 2, 3}


async def test_a_token_that_expires_ends_the_stream_with_the_cursor(home: Home) -> None:
    host, subscribers = await start(home, quick(heartbeat_s=0.2))

    async with await subscribers.begin(claims={"ttl": timedelta(seconds=2)}) as subscriber:
        await home.trial(host).record("a", 1)
        error = await subscriber.until_ended()

    assert isinstance(error, Unauthenticated)
    assert error.noted["cursor"] == subscriber.cursor


async def test_a_gateway_that_stops_sends_everybody_away_with_the_cursor(home: Home) -> None:
    host, subscribers = await start(home)
    trial = home.trial(host)

    async with await subscribers.begin() as subscriber:
        await trial.record("a", 1)
        await subscriber.events(1)
        await home.stop(host)
        error = await subscriber.until_ended()

    assert isinstance(error, Unavailable)
    assert error.noted["cursor"] == subscriber.cursor


async def test_a_stalled_reader_is_cut_off_with_its_cursor_and_slows_nobody(home: Home) -> None:
    host = await home.start(TrialService, EventGateway, runtime={"slow_reader_s": 0.5})
    subscribers, others = Subscribers(home, host), Subscribers(home, host)
    trial = home.trial(host)
    stalled = await subscribers.begin()
    feed = feed_of(host)

    async with await others.begin() as reader:
        sent = 0
        while len(feed.subscriptions) == 2:
            await trial.record("a", sent, note="x" * 20_000)
            sent += 1
            await reader.events(sent)

        error = await stalled.until_ended()
        assert error.code.name == "RESOURCE_EXHAUSTED"
        assert error.noted["cursor"] == stalled.cursor
        async with subscribers.subscribe(after_cursor=stalled.cursor) as resumed:
            missed = sent - len(stalled.received)
            got = amounts([*stalled.received, *await resumed.events(missed)])
    assert got == amounts(reader.received) == list(range(sent))


async def test_types_are_listed_with_their_scopes(home: Home) -> None:
    _, subscribers = await start(home)

    answer = await subscribers.stub.ListEventTypes(
        ListEventTypesRequest(sector="trial"), metadata=subscribers.metadata(["events.read"])
    )

    assert [kind.type for kind in answer.types] == ["trial.v1.AmountForgotten", RECORDED]
    assert not answer.types[0].readable
    assert answer.types[0].read_scope == "trial.read"


async def test_a_type_is_described_with_schema_and_example(home: Home) -> None:
    _, subscribers = await start(home)
    name = "lienthong.environment.v1.FloodAlarmRaised"

    answer = await subscribers.stub.GetEventType(GetEventTypeRequest(type=name), metadata=subscribers.metadata())

    assert answer.type.key_field == "station_id"
    assert answer.type.schema["$ref"] == f"#/$defs/{name}"
    assert answer.type.example["event"]["type"] == name
    assert not answer.type.readable


async def test_a_gateway_alone_serves_and_waits(home: Home) -> None:
    """No service with a log runs beside it, so there is nothing to deliver yet."""
    host = await home.start(EventGateway)

    async with await Subscribers(home, host).begin(types=[RECORDED]):
        assert feed_of(host).histories == []
