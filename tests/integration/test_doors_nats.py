"""Every principal tries every subject and stream of a locality's NATS server; exactly what was declared opens.

What should open is told here from the declarations in words of their own, not from the permissions the server was
given: who emits, who subscribes to which topic of whom.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from zlib import crc32

import nats
import pytest
from nats.errors import Error as NatsError

from mesh import Emit, bus
from mesh.bus import login
from mesh.config import load
from mesh.doors.declared import Declared, declared
from mesh.errors import ConfigurationError
from mesh.events import catalogue, events_stream
from mesh.identity import OPERATOR
from mesh.installed import installed_services, service_class
from mesh.localities import slugs
from mesh.sharing import received_stream, share_stream
from mesh.stack import Stack
from mesh.stack.guests import admit, guests
from mesh.stack.nkey import kept_nkey
from mesh.subscribe import ANY, LOCAL, PEERS, Origin
from tests.conftest import Background
from tests.hosts import eventually
from tests.integration.doors import HERE, THERE, knocker

SERVICES = {name: declared(service_class(place)) for name, place in installed_services().items()}
EMITTERS = [name for name, service in SERVICES.items() if service.emits]
EXCHANGE = "exchange"
PRINCIPALS = [*(name for name, service in SERVICES.items() if service.on_bus), OPERATOR]
STREAMS = [
    *(events_stream(HERE, name) for name in EMITTERS),
    share_stream(HERE, THERE),
    received_stream(HERE),
    "SOMEBODY_ELSES",
]
ADMINISTER = ["CREATE", "UPDATE", "DELETE", "PURGE"]
NEVER = ["MSG.DELETE", "SNAPSHOT", "RESTORE", "LEADER.STEPDOWN", "PEER.REMOVE"]
CREATE = "$JS.API.CONSUMER.CREATE"
NO_JSON = b"?"
"""A body that every request of the API refuses, so that what is open changes nothing."""


@pytest.fixture(scope="module")
def stack(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The servers of two localities as `lienthong up` starts them, with nobody at their doors yet."""
    stack = Stack([HERE, THERE], tmp_path_factory.mktemp("doors"), serve=False, mongodb_uri="mongodb://nowhere/")
    background.run(stack.__aenter__())
    yield stack
    background.run(stack.__aexit__(None, None, None))


@pytest.fixture(params=PRINCIPALS)
def principal(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def own_streams(principal: str) -> set[str]:
    """Streams of which the principal is the only writer."""
    if principal not in EMITTERS:
        return set()
    border = {share_stream(HERE, THERE), received_stream(HERE)} if principal == EXCHANGE else set()
    return {events_stream(HERE, principal)} | border


def may_read(principal: str, stream: str, origin: str, sector: str, topic: str) -> bool:
    """Whether somebody may read a topic of some locality's events from a stream."""
    service = SERVICES[principal]
    if everything := reads_everything(principal):
        return everything is ANY or origin == HERE
    streams = {LOCAL: events_stream(HERE, sector), PEERS: events_stream(HERE, EXCHANGE)}
    return any(
        (interest.sector, interest.topic) == (sector, topic)
        and interest.origin in (kind, ANY)
        and stream == streams[kind]
        and (origin == HERE or kind is PEERS)
        for interest in service.interests
        for kind in (LOCAL, PEERS)
    )


def reads_everything(principal: str) -> Origin | None:
    """Whose events a service reads whatever they are."""
    return next((interest.origin for interest in SERVICES[principal].interests if not interest.topic), None)


class TestPublishing:
    """Of events and of everything else one might say on the bus."""

    async def test_a_service_publishes_its_own_log_and_nothing_else(self, stack: Stack, principal: str) -> None:
        """Events of its own, and for the exchange those of other localities and what it shares."""
        own = {f"events.{HERE}.{name}.probe.0": name for name in SERVICES}
        foreign = {f"events.{slug}.{name}.probe.0" for slug in slugs() if slug != HERE for name in ("health", "noise")}
        shared = {f"shared.{HERE}.{slug}.a.environment.probe.0" for slug in slugs() if slug != HERE}
        other = {
            *(f"_INBOX.{name}.x" for name in PRINCIPALS),
            *(f"shared.{THERE}.{HERE}.a.environment.probe.0", f"deliver.{HERE}.{share_stream(THERE, HERE)}.x"),
            *("$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.PING", "$JS.EVENT.ADVISORY.API", "events", "anything"),
            *(f"$JS.ACK.{stream}.x.1.1.1.1.0" for stream in STREAMS),
            *(f"$JS.FC.{stream}.x.y" for stream in STREAMS),
            *(f"$JS.{THERE}.API.CONSUMER.CREATE.{share_stream(THERE, HERE)}.x"),
        }
        knocked = {*own, *foreign, *shared, *other}

        async with knocker(stack, principal) as knocking:
            tried = await knocking.publish(dict.fromkeys(knocked, b""))

        mine = {own for own, name in own.items() if name == principal and name in EMITTERS and name != EXCHANGE}
        assert tried.open(knocked) == mine | (foreign | shared if principal == EXCHANGE else set())

    async def test_nobody_listens_but_at_an_inbox_of_their_own(self, stack: Stack, principal: str) -> None:
        """Only the operator also sees events go by."""
        inboxes = {f"_INBOX.{name}.>": name for name in PRINCIPALS}
        seen = {"events.>", f"events.{HERE}.environment.>"}
        closed = {">", "*", "_INBOX.>", "$JS.>", "$JS.API.>", "$JS.EVENT.ADVISORY.>", "$SYS.>", "shared.>", "deliver.>"}

        async with knocker(stack, principal) as knocking:
            tried = await knocking.subscribe({*inboxes, *seen, *closed})

        mine = {inbox for inbox, name in inboxes.items() if name == principal}
        assert tried.open({*inboxes, *seen, *closed}) == mine | (seen if principal == OPERATOR else set())


class TestStreams:
    """Of the JetStream API."""

    async def test_a_stream_is_declared_emptied_and_ended_by_its_service_alone(
        self, stack: Stack, principal: str
    ) -> None:
        """What is on it is read message by message by its service alone; nobody lists the consumers of others."""
        administered = {f"$JS.API.STREAM.{verb}.{stream}": stream for stream in STREAMS for verb in ADMINISTER}
        looked_at = {f"$JS.API.STREAM.INFO.{stream}": stream for stream in STREAMS}
        whole = {f"$JS.API.DIRECT.GET.{stream}": stream for stream in STREAMS}
        closed = {
            *(f"$JS.API.STREAM.{verb}.{stream}" for stream in STREAMS for verb in NEVER),
            *(f"$JS.API.STREAM.MSG.GET.{stream}" for stream in STREAMS),
            *(f"$JS.API.DIRECT.GET.{stream}.events.{HERE}.environment.probe.0" for stream in STREAMS),
            *(f"$JS.API.CONSUMER.{verb}.{stream}" for stream in STREAMS for verb in ("LIST", "NAMES", "CREATE")),
            *(f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.x" for stream in STREAMS),
            *(f"$JS.API.CONSUMER.{verb}.{stream}.x" for stream in STREAMS for verb in ("PAUSE", "UNPIN", "RESET")),
            *("$JS.API.ACCOUNT.PURGE.LIENTHONG", "$JS.API.META.LEADER.STEPDOWN", "$JS.API.SERVER.REMOVE"),
        }
        listed = {"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST"}
        knocked = {*administered, *looked_at, *whole, *closed, *listed}

        async with knocker(stack, principal) as knocking:
            tried = await knocking.publish(dict.fromkeys(knocked, NO_JSON), answered=True)

        own = own_streams(principal)
        mine = {subject for subject, stream in (administered | looked_at | whole).items() if stream in own}
        assert tried.open(knocked) == mine | ({*looked_at, *listed} if principal == OPERATOR else set())

    @pytest.mark.parametrize("principal", PRINCIPALS[:-1])
    async def test_a_service_reads_what_it_subscribed_to_and_nothing_else(self, stack: Stack, principal: str) -> None:
        """A consumer on each stream for each topic of each locality's events; the border for the exchange."""
        await self.declare(stack)
        topics = sorted({(kind.sector, kind.topic) for kind in catalogue() if kind.sector in SERVICES})
        cells = {
            _creating(stream, f"events.{origin}.{sector}.{topic}.0"): (stream, origin, sector, topic)
            for stream in STREAMS
            for origin in (HERE, THERE, "*")
            for sector, topic in topics
        }
        all_of = {_creating(stream, subject) for stream in STREAMS for subject in ("events.>", f"events.{THERE}.>")}
        received = _creating(received_stream(HERE), f"shared.{THERE}.{HERE}.*.*.*.0")
        shared = {_creating(stream, f"shared.{HERE}.{THERE}.>") for stream in STREAMS}
        knocked = {*cells, *all_of, received, *shared}

        async with knocker(stack, principal) as knocking:
            tried = await knocking.publish({subject: _consumer(subject) for subject in knocked}, answered=True)

        open_cells = {subject for subject, cell in cells.items() if may_read(principal, *cell)}
        border = {received} if principal == EXCHANGE else set()
        everything = all_of if reads_everything(principal) is ANY else set()
        assert tried.open(knocked) == open_cells | border | everything
        if not reads_everything(principal):  # else it is asked of every stream, also of those that hold nothing of it
            assert [subject for subject in open_cells if "error" in tried.answers[subject]] == []

    async def test_an_operator_reads_everything_and_changes_nothing(self, stack: Stack) -> None:
        """`lienthong verify` reads whole streams; what would change one is closed (see above)."""
        await self.declare(stack)
        knocked = {f"{CREATE}.{events_stream(HERE, name)}.probe-{name}" for name in EMITTERS}

        async with knocker(stack, OPERATOR) as knocking:
            tried = await knocking.publish({subject: _consumer(subject) for subject in knocked}, answered=True)

        assert [answer.get("error") for answer in tried.answers.values()] == [None] * len(EMITTERS)

    @pytest.mark.parametrize("subjects", [{}, {"filter_subject": "events.>"}, {"filter_subjects": ["events.>"]}])
    async def test_a_consumer_with_another_filter_than_its_subject_is_refused(
        self, stack: Stack, subjects: dict[str, object]
    ) -> None:
        """Otherwise a service could ask under the subject that is open for what is not."""
        await self.declare(stack)
        stream = events_stream(HERE, "environment")
        subject = f"{CREATE}.{stream}.sly.events.{HERE}.environment.air_quality_alert.0"
        config = {"name": "sly", "ack_policy": "none", "deliver_policy": "all", **subjects}
        body = json.dumps({"stream_name": stream, "config": config}).encode()

        async with knocker(stack, "health") as knocking:
            tried = await knocking.publish({subject: body}, answered=True)

        assert tried.answers[subject]["error"]["code"] == 400

    async def declare(self, stack: Stack) -> None:
        """Every service declares the streams of its log, as its relay does."""
        for name in EMITTERS:
            stream = events_stream(HERE, name)
            config = {"name": stream, "subjects": _log_subjects(SERVICES[name]), "storage": "memory"}
            async with knocker(stack, name) as knocking:
                tried = await knocking.publish(
                    {f"$JS.API.STREAM.CREATE.{stream}": json.dumps(config).encode()}, answered=True
                )
            assert [answer.get("error") for answer in tried.answers.values()] == [None]


async def test_a_refusal_is_told_loudly(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    """It is a fault in a declaration or worse, and names who and what."""
    settings = load(
        {}, locality=HERE, credentials_dir=stack.credentials(HERE), nats_url=stack.nats_url(HERE), data_dir=stack.data
    )

    async def reconnected() -> None:
        """Not of interest."""

    client = await bus.connect(settings, "test", "health", reconnected)
    await client.publish(f"events.{HERE}.transport.incident.0", b"")
    await eventually(lambda: caplog.records)
    await client.close()

    told = caplog.records[0]
    assert told.levelname == "ERROR"
    assert "NATS refuses health" in told.getMessage()
    assert f"events.{HERE}.transport.incident.0" in told.getMessage()


async def test_a_service_without_a_key_says_which_file_is_missing(stack: Stack) -> None:
    """Instead of knocking for ever."""
    with pytest.raises(ConfigurationError, match=r"unheard_of/nats\.nk"):
        login(stack.credentials(HERE), "unheard_of")


async def test_a_service_that_joins_is_let_in_and_nobody_is_put_out(stack: Stack) -> None:
    """Its door is its own, and stays open when the server is started again."""

    class Guest:
        name = "guest"
        emit = Emit()

    async with knocker(stack, "health") as resident:
        admit(stack.data, HERE, [Guest], stack.child(f"{HERE}.nats").pid)
        async with knocker(stack, "guest") as guest:
            tried = await guest.publish({f"events.{HERE}.guest.a.0": b"", f"events.{HERE}.health.a.0": b""})
            assert tried.refused == {f"events.{HERE}.health.a.0"}
        assert resident.client.stats["reconnects"] == 0
    assert guests(stack.data, HERE).keys() == {"guest"}


async def test_a_stranger_does_not_get_in(stack: Stack) -> None:
    """A key the server does not know, or none at all."""
    stranger = kept_nkey(stack.data / "stranger.nk", "health").as_options()
    for options in ({}, {"user": "services", "password": "x"}, stranger):
        with pytest.raises(NatsError):
            await nats.connect(stack.nats_url(HERE), **options, allow_reconnect=False, error_cb=_quiet)


async def test_a_key_of_one_locality_opens_nothing_in_another(stack: Stack) -> None:
    """Each node has keys of its own."""
    with pytest.raises(NatsError):
        await nats.connect(
            stack.nats_url(THERE), **login(stack.credentials(HERE), "health"), allow_reconnect=False, error_cb=_quiet
        )


async def _quiet(error: Exception) -> None:
    """nats-py would print it."""


def _log_subjects(service: Declared) -> list[str]:
    if hasattr(service.service_cls, "log_subjects"):
        subjects: list[str] = service.service_cls.log_subjects(HERE)
        return subjects
    return [f"events.{HERE}.{service.name}.>"]


def _creating(stream: str, subject: str) -> str:
    """Where a consumer with that filter is asked for."""
    return f"{CREATE}.{stream}.probe-{crc32(subject.encode())}.{subject}"


def _consumer(creating: str) -> bytes:
    """What is asked for there."""
    stream, name, *subject = creating.removeprefix(f"{CREATE}.").split(".", 2)
    config = {"name": name, "ack_policy": "none", "deliver_policy": "all", "mem_storage": True}
    if subject:
        config["filter_subject"] = subject[0]
    return json.dumps({"stream_name": stream, "config": config}).encode()
