"""Every principal tries every subject and stream of a locality's NATS server; exactly what was declared opens.

What should open is told here from the declarations in words of their own, not from the permissions the server was
given: who emits, who subscribes to which topic of whom.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from zlib import crc32

import nats
import pytest
from nats.errors import Error as NatsError
from typer.testing import CliRunner

from mesh import Emit, bus
from mesh.bus import login
from mesh.cli.app import app
from mesh.config import load
from mesh.doors.declared import Declared, declared
from mesh.errors import ConfigurationError
from mesh.events import catalogue, events_stream
from mesh.identity import OPERATOR
from mesh.installed import installed_services, service_class
from mesh.localities import slugs
from mesh.sharing import received_stream, share_stream
from mesh.stack import Stack
from mesh.stack.binaries import nats_server
from mesh.stack.guests import admit, guests
from mesh.stack.nats import node_folder
from mesh.stack.nkey import kept_nkey, nkey_of
from mesh.subscribe import ANY, LOCAL, PEERS, Origin
from tests.conftest import Background
from tests.hosts import eventually
from tests.integration.doors import FENCE, HERE, THERE, knocker

SERVICES = {name: declared(service_class(place)) for name, place in installed_services().items()}
EMITTERS = [name for name, service in SERVICES.items() if service.emits]
EXCHANGE = "exchange"
PRINCIPALS = [*(name for name, service in SERVICES.items() if service.on_bus), OPERATOR]
LOGS = {events_stream(HERE, name): name for name in EMITTERS}
STREAMS = LOGS | {share_stream(HERE, THERE): EXCHANGE, received_stream(HERE): EXCHANGE, "SOMEBODY_ELSES": "health"}
"""Streams by the service in whose account they are."""
CHANGES = [*(f"STREAM.{verb}" for verb in ("CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE")), "DIRECT.GET"]
ADMINISTER = ["CREATE", "UPDATE", "DELETE", "PURGE"]
NEVER = ["MSG.DELETE", "SNAPSHOT", "RESTORE", "LEADER.STEPDOWN", "PEER.REMOVE"]
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
        return (everything is ANY or origin == HERE) and (stream in LOGS or STREAMS[stream] == principal)
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


def foreign(principal: str) -> list[str]:
    """Streams in the accounts of others."""
    return [stream for stream, owner in STREAMS.items() if owner != principal]


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
            *("$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", f"$JS.API.ACCOUNT.PURGE.{principal}"),
            *("$JS.API.META.LEADER.STEPDOWN", "$JS.API.SERVER.REMOVE"),
        }
        knocked = {*administered, *looked_at, *whole, *closed, "$JS.API.INFO"}

        async with knocker(stack, principal) as knocking:
            tried = await knocking.publish(dict.fromkeys(knocked, NO_JSON), answered=True)

        own = own_streams(principal)
        mine = {subject for subject, stream in (administered | looked_at | whole).items() if stream in own}
        assert tried.open(knocked) == mine | ({"$JS.API.INFO"} if principal == OPERATOR else set())

    @pytest.mark.parametrize("principal", PRINCIPALS[:-1])
    async def test_a_service_reads_what_it_subscribed_to_and_nothing_else(self, stack: Stack, principal: str) -> None:
        """A consumer on each stream for each topic of each locality's events; the border for the exchange."""
        await declare(stack)
        cells = _cells(principal, STREAMS)
        all_of = {
            _creating(principal, stream, subject): stream
            for stream in STREAMS
            for subject in ("events.>", f"events.{THERE}.>")
        }
        received = _creating(principal, received_stream(HERE), f"shared.{THERE}.{HERE}.*.*.*.0")
        shared = {_creating(principal, stream, f"shared.{HERE}.{THERE}.>") for stream in STREAMS}
        knocked = {*cells, *all_of, received, *shared}

        async with knocker(stack, principal) as knocking:
            tried = await knocking.publish({subject: _consumer(subject) for subject in knocked}, answered=True)

        open_cells = {subject for subject, cell in cells.items() if may_read(principal, *cell)}
        border = {received} if principal == EXCHANGE else set()
        everything = {subject for subject, stream in all_of.items() if stream in LOGS}
        assert tried.heard(knocked) == open_cells | border | (
            everything if reads_everything(principal) is ANY else set()
        )
        if not reads_everything(principal):  # else it is asked of every log, also of those that hold nothing of it
            assert [subject for subject in open_cells if "error" in tried.answers[subject]] == []

    async def test_an_operator_reads_everything_and_changes_nothing(self, stack: Stack) -> None:
        """`lienthong verify` reads whole streams; what would change one is closed (see above)."""
        await declare(stack)
        made = {f"api.{name}.CONSUMER.CREATE.{stream}.probe-{name}" for stream, name in LOGS.items()}
        seen = {f"api.{owner}.STREAM.INFO.{stream}" for stream, owner in STREAMS.items()}
        changes = {f"api.{owner}.{verb}.{stream}" for stream, owner in STREAMS.items() for verb in CHANGES}

        async with knocker(stack, OPERATOR) as knocking:
            tried = await knocking.publish(
                {subject: _consumer(subject) for subject in made} | dict.fromkeys({*seen, *changes}, NO_JSON),
                answered=True,
            )

        assert tried.heard({*made, *seen, *changes}) == made | seen
        assert [tried.answers[subject].get("error") for subject in made] == [None] * len(EMITTERS)

    @pytest.mark.parametrize("subjects", [{}, {"filter_subject": "events.>"}, {"filter_subjects": ["events.>"]}])
    async def test_a_consumer_with_another_filter_than_its_subject_is_refused(
        self, stack: Stack, subjects: dict[str, object]
    ) -> None:
        """Otherwise a service could ask under the subject that is open for what is not."""
        await declare(stack)
        stream = events_stream(HERE, "environment")
        subject = f"api.environment.CONSUMER.CREATE.{stream}.sly.events.{HERE}.environment.air_quality_alert.0"
        config = {"name": "sly", "ack_policy": "none", "deliver_policy": "all", **subjects}
        body = json.dumps({"stream_name": stream, "config": config}).encode()

        async with knocker(stack, "health") as knocking:
            tried = await knocking.publish({subject: body}, answered=True)

        assert tried.answers[subject]["error"]["code"] == 400


@pytest.fixture(scope="module")
def unbound(stack: Stack, background: Background) -> Path:
    """Credentials of users who may do everything in the account of each principal."""
    folder = stack.data / "unbound"
    file = node_folder(stack.data, HERE) / "nats.conf"
    config = json.loads(file.read_text())
    for name in PRINCIPALS:
        user = nkey_of(folder, name).as_config() | {"permissions": {"publish": {"deny": [FENCE]}}}
        config["accounts"][name]["users"].append(user)
    _reload(stack, json.dumps(config))
    background.run(_let_in(stack, folder))
    return folder


class TestAServiceThatTurnsAgainstItsLocality:
    """It may have the server act for it; what streams source or republish, and where answers go, no permission sees.

    Its account is as far as it gets.
    """

    @pytest.mark.parametrize("principal", PRINCIPALS)
    async def test_an_account_asks_of_others_what_was_declared_and_nothing_else(
        self, stack: Stack, unbound: Path, principal: str
    ) -> None:
        """Every cell again, without the permissions of a user: the same open."""
        await declare(stack)
        cells = _cells(principal, foreign(principal))
        whole = {f"api.{STREAMS[stream]}.CONSUMER.CREATE.{stream}.whole": stream for stream in foreign(principal)}
        changes = {f"api.{STREAMS[stream]}.{verb}.{stream}" for stream in foreign(principal) for verb in CHANGES}
        named = {f"api.{STREAMS[stream]}.CONSUMER.{verb}.{stream}" for stream in STREAMS for verb in ("NAMES", "LIST")}
        knocked = {*cells, *whole, *changes, *named}

        async with knocker(stack, principal, credentials=unbound) as knocking:
            asked = {subject: _consumer(subject) for subject in {*cells, *whole}}
            tried = await knocking.publish(asked | dict.fromkeys({*changes, *named}, NO_JSON), answered=True)

        everything = set(whole) if principal == OPERATOR else set()
        declared = {subject for subject, cell in cells.items() if principal != OPERATOR and may_read(principal, *cell)}
        assert tried.heard(knocked) == declared | everything

    async def test_no_account_publishes_in_another(self, stack: Stack, unbound: Path) -> None:
        """What it says on the subjects of others nobody stores and nobody hears."""
        await declare(stack)
        said = {f"events.{HERE}.{name}.probe.0": name for name in EMITTERS if name != EXCHANGE}

        async with knocker(stack, "health", credentials=unbound) as knocking:
            tried = await knocking.publish(dict.fromkeys(said, b"forged"), answered=True)
            assert tried.heard(said) == {f"events.{HERE}.health.probe.0"}

    @pytest.mark.parametrize("source", ["sources", "mirror"])
    @pytest.mark.parametrize("external", [None, {"api": "api.transport", "deliver": "stolen"}])
    async def test_a_stream_that_sources_anothers_gets_nothing(
        self, stack: Stack, unbound: Path, source: str, external: dict[str, str] | None
    ) -> None:
        """Of its own account's streams it gets everything: the configuration is the one that used to steal."""
        await declare(stack)
        theirs, own = events_stream(HERE, "transport"), events_stream(HERE, "health")
        await _say(stack, "transport", f"events.{HERE}.transport.incident.0")
        async with knocker(stack, "health", credentials=unbound) as knocking:
            await knocking.client.jetstream().publish(f"events.{HERE}.health.probe.0", b"own")
            for name, of in (("STOLEN", {"name": theirs, "external": external}), ("COPIED", {"name": own})):
                config = {"name": name, "storage": "memory", source: [of] if source == "sources" else of}
                await knocking.publish({f"$JS.API.STREAM.CREATE.{name}": json.dumps(config).encode()}, answered=True)
            jetstream = knocking.client.jetstream()
            copied, all_own = await jetstream.stream_info("COPIED"), await jetstream.stream_info(own)
            while copied.state.messages < all_own.state.messages:
                copied = await jetstream.stream_info("COPIED")
            stolen = await jetstream.stream_info("STOLEN")
            for name in ("STOLEN", "COPIED"):
                await jetstream.delete_stream(name)

        assert copied.state.messages > 0
        assert stolen.state.messages == 0

    async def test_what_its_stream_republishes_reaches_no_other_account(self, stack: Stack, unbound: Path) -> None:
        """Neither another one's log nor the API through which it reads."""
        await declare(stack)
        forged = f"events.{HERE}.transport.incident.0"
        async with knocker(stack, "health", credentials=unbound) as knocking:
            heard = await knocking.client.subscribe(forged)
            config = {"name": "LOUD", "subjects": ["say"], "storage": "memory"}
            config["republish"] = {"src": "say", "dest": forged}
            await knocking.publish({"$JS.API.STREAM.CREATE.LOUD": json.dumps(config).encode()}, answered=True)
            before = await _messages(stack, "transport")
            await knocking.client.jetstream().publish("say", b"forged")
            assert (await heard.next_msg(5)).data == b"forged"  # in its own account it is on that subject
            await knocking.client.jetstream().delete_stream("LOUD")

        assert await _messages(stack, "transport") == before

    async def test_answers_and_deliveries_land_in_its_own_account(self, stack: Stack, unbound: Path) -> None:
        """A reply subject is one of its own account; at a deliver subject in the owner's nobody listens."""
        await declare(stack)
        stream = events_stream(HERE, "environment")
        topic = f"events.{HERE}.environment.air_quality_alert.0"
        subject = f"api.environment.CONSUMER.CREATE.{stream}"
        forged = f"events.{HERE}.transport.incident.0"
        await _say(stack, "environment", topic)
        before = {name: await _messages(stack, name) for name in ("transport", "environment")}
        async with knocker(stack, "health", credentials=unbound) as knocking:
            heard = await knocking.client.subscribe(forged)
            pull = {f"{subject}.pull.{topic}": _consumer(f"{subject}.pull.{topic}")}
            pushes = {
                f"{subject}.push-{number}.{topic}": _consumer(f"{subject}.push-{number}.{topic}", deliver_subject=put)
                for number, put in enumerate([forged, topic, f"{topic}.x", "$JS.API.STREAM.PURGE." + stream])
            }
            tried = await knocking.publish(pull | pushes, answered=True)
            refused = [answer["error"]["description"] for answer in tried.answers.values() if "error" in answer]
            assert refused == ["consumer deliver subject forms a cycle"] * 2  # the others the server makes
            await knocking.client.publish(f"api.environment.CONSUMER.MSG.NEXT.{stream}.pull", b"1", reply=forged)
            assert (await heard.next_msg(5)).subject == topic  # it came, to its own account

        assert {name: await _messages(stack, name) for name in before} == before


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


async def test_who_joins_is_read_by_those_who_wait_for_it(stack: Stack) -> None:
    """Over the connections they have."""

    class Newcomer:
        name = "newcomer"
        emit = Emit()

    stream = events_stream(HERE, "newcomer")
    asked = f"api.newcomer.CONSUMER.CREATE.{stream}.x.events.>"
    async with knocker(stack, "gateway") as reader:
        before = await reader.publish({asked: _consumer(asked)}, answered=True)
        assert before.unheard
        admit(stack.data, HERE, [Newcomer], stack.child(f"{HERE}.nats").pid)
        async with knocker(stack, "newcomer") as newcomer:
            await newcomer.client.jetstream().add_stream(name=stream, subjects=[f"events.{HERE}.newcomer.>"])
        after = await reader.publish({asked: _consumer(asked)}, answered=True)
        assert "error" not in after.answers[asked]
        assert reader.client.stats["reconnects"] == 0


def test_the_accounts_for_a_server_of_your_own_are_as_it_wants_them(tmp_path: Path) -> None:
    """`lienthong doors --accounts` prints a configuration; the seeds it names are in the folder."""
    run = CliRunner().invoke(app, ["doors", "--locality", HERE, "--accounts", str(tmp_path)])
    config = json.loads(run.stdout) | {"jetstream": {"store_dir": str(tmp_path / "streams")}}
    (tmp_path / "nats.conf").write_text(json.dumps(config))

    checked = subprocess.run([nats_server(), "-t", "-c", tmp_path / "nats.conf"], capture_output=True, text=True)

    assert checked.returncode == 0, checked.stderr
    assert {seed.parent.name for seed in tmp_path.glob("*/nats.nk")} == set(PRINCIPALS)


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


async def declare(stack: Stack) -> None:
    """Every service declares the streams of its log, as its relay does."""
    for name in EMITTERS:
        stream = events_stream(HERE, name)
        config = {"name": stream, "subjects": _log_subjects(SERVICES[name]), "storage": "memory"}
        async with knocker(stack, name) as knocking:
            tried = await knocking.publish(
                {f"$JS.API.STREAM.CREATE.{stream}": json.dumps(config).encode()}, answered=True
            )
        assert [answer.get("error") for answer in tried.answers.values()] == [None]


async def _say(stack: Stack, service: str, subject: str) -> None:
    """A service publishes one event to its stream."""
    async with knocker(stack, service) as knocking:
        await knocking.client.jetstream().publish(subject, b"said")


async def _messages(stack: Stack, service: str) -> int:
    """How many messages the stream of a service's log holds."""
    async with knocker(stack, service) as knocking:
        state = (await knocking.client.jetstream().stream_info(events_stream(HERE, service))).state
        return int(state.messages)


def _reload(stack: Stack, config: str) -> None:
    """Has the server read another configuration."""
    (node_folder(stack.data, HERE) / "nats.conf").write_text(config)
    os.kill(stack.child(f"{HERE}.nats").pid, signal.SIGHUP)


async def _let_in(stack: Stack, credentials: Path) -> None:
    """Returns once the server knows the users of these credentials."""
    while True:
        with contextlib.suppress(NatsError):
            async with knocker(stack, OPERATOR, credentials=credentials):
                return


async def _quiet(error: Exception) -> None:
    """nats-py would print it."""


def _log_subjects(service: Declared) -> list[str]:
    if hasattr(service.service_cls, "log_subjects"):
        subjects: list[str] = service.service_cls.log_subjects(HERE)
        return subjects
    return [f"events.{HERE}.{service.name}.>"]


def _cells(principal: str, streams: Iterable[str]) -> dict[str, tuple[str, str, str, str]]:
    """Where a principal would ask for each topic of each locality's events, on each of these streams."""
    topics = sorted({(kind.sector, kind.topic) for kind in catalogue() if kind.sector in SERVICES})
    return {
        _creating(principal, stream, f"events.{origin}.{sector}.{topic}.0"): (stream, origin, sector, topic)
        for stream in streams
        for origin in (HERE, THERE, "*")
        for sector, topic in topics
    }


def _creating(principal: str, stream: str, subject: str) -> str:
    """Where a consumer with that filter is asked for."""
    owner = STREAMS[stream]
    api = "$JS.API" if owner == principal else f"api.{owner}"
    return f"{api}.CONSUMER.CREATE.{stream}.probe-{crc32(subject.encode())}.{subject}"


def _consumer(creating: str, **more: str) -> bytes:
    """What is asked for there."""
    stream, name, *subject = creating.partition(".CONSUMER.CREATE.")[2].split(".", 2)
    config = {"name": name, "ack_policy": "none", "deliver_policy": "all", "mem_storage": True, **more}
    if subject:
        config["filter_subject"] = subject[0]
    return json.dumps({"stream_name": stream, "config": config}).encode()
