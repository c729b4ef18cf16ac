"""Every account tries what its user may not: exactly what others declared to it opens (ADR-0027)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest
from nats.errors import Error as NatsError

from mesh.events import events_stream
from mesh.identity import OPERATOR
from mesh.stack import Stack
from mesh.stack.nats import node_folder
from mesh.stack.nkey import nkey_of
from tests.conftest import Background
from tests.integration.doors import FENCE, HERE, knocker
from tests.integration.nats_doors import (
    CHANGES,
    EMITTERS,
    EXCHANGE,
    NO_JSON,
    PRINCIPALS,
    STREAMS,
    cells_of,
    consumer,
    declare,
    foreign,
    may_read,
)


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
        cells = cells_of(principal, foreign(principal))
        whole = {f"api.{STREAMS[stream]}.CONSUMER.CREATE.{stream}.whole": stream for stream in foreign(principal)}
        changes = {f"api.{STREAMS[stream]}.{verb}.{stream}" for stream in foreign(principal) for verb in CHANGES}
        named = {f"api.{STREAMS[stream]}.CONSUMER.{verb}.{stream}" for stream in STREAMS for verb in ("NAMES", "LIST")}
        knocked = {*cells, *whole, *changes, *named}

        async with knocker(stack, principal, credentials=unbound) as knocking:
            asked = {subject: consumer(subject) for subject in {*cells, *whole}}
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
            pull = {f"{subject}.pull.{topic}": consumer(f"{subject}.pull.{topic}")}
            pushes = {
                f"{subject}.push-{number}.{topic}": consumer(f"{subject}.push-{number}.{topic}", deliver_subject=put)
                for number, put in enumerate([forged, topic, f"{topic}.x", "$JS.API.STREAM.PURGE." + stream])
            }
            tried = await knocking.publish(pull | pushes, answered=True)
            refused = [answer["error"]["description"] for answer in tried.answers.values() if "error" in answer]
            assert refused == ["consumer deliver subject forms a cycle"] * 2  # the others the server makes
            await knocking.client.publish(f"api.environment.CONSUMER.MSG.NEXT.{stream}.pull", b"1", reply=forged)
            assert (await heard.next_msg(5)).subject == topic  # it came, to its own account

        assert {name: await _messages(stack, name) for name in before} == before


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
