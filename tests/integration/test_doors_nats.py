"""Every principal tries every subject and stream of a locality's NATS server; exactly what was declared opens."""

from __future__ import annotations

import json

import pytest

from mesh.events import events_stream
from mesh.identity import OPERATOR
from mesh.localities import slugs
from mesh.sharing import received_stream, share_stream
from mesh.stack import Stack
from mesh.subscribe import ANY
from tests.integration.doors import HERE, THERE, knocker
from tests.integration.nats_doors import (
    CHANGES,
    EMITTERS,
    EXCHANGE,
    LOGS,
    NO_JSON,
    PRINCIPALS,
    SERVICES,
    STREAMS,
    cells_of,
    consumer,
    creating,
    declare,
    may_read,
    own_streams,
    reads_everything,
)

ADMINISTER = ["CREATE", "UPDATE", "DELETE", "PURGE"]
NEVER = ["MSG.DELETE", "SNAPSHOT", "RESTORE", "LEADER.STEPDOWN", "PEER.REMOVE"]


@pytest.fixture(params=PRINCIPALS)
def principal(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


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
        cells = cells_of(principal, STREAMS)
        all_of = {
            creating(principal, stream, subject): stream
            for stream in STREAMS
            for subject in ("events.>", f"events.{THERE}.>")
        }
        received = creating(principal, received_stream(HERE), f"shared.{THERE}.{HERE}.*.*.*.0")
        shared = {creating(principal, stream, f"shared.{HERE}.{THERE}.>") for stream in STREAMS}
        knocked = {*cells, *all_of, received, *shared}

        async with knocker(stack, principal) as knocking:
            tried = await knocking.publish({subject: consumer(subject) for subject in knocked}, answered=True)

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
                {subject: consumer(subject) for subject in made} | dict.fromkeys({*seen, *changes}, NO_JSON),
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
