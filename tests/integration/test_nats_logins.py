"""Who gets in at a locality's NATS server, and who does not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import nats
import pytest
from nats.errors import Error as NatsError
from typer.testing import CliRunner

from lienthong.environment.v1 import AirQualityAlertRaised
from mesh import Emit, bus, subscribe
from mesh.bus import login
from mesh.cli.app import app
from mesh.config import load
from mesh.errors import ConfigurationError
from mesh.events import events_stream
from mesh.stack import Stack
from mesh.stack.binaries import nats_server
from mesh.stack.guests import admit, guests
from mesh.stack.nkey import kept_nkey
from tests.hosts import eventually
from tests.integration.doors import HERE, THERE, knocker
from tests.integration.nats_doors import (
    PRINCIPALS,
    consumer,
    declare,
)


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
        await join(stack, Guest)
        async with knocker(stack, "guest") as guest:
            tried = await guest.publish({f"events.{HERE}.guest.a.0": b"", f"events.{HERE}.health.a.0": b""})
            assert tried.refused == {f"events.{HERE}.health.a.0"}
        assert resident.client.stats["reconnects"] == 0
    assert guests(stack.data, HERE).keys() == {"guest"}


async def test_who_joins_reads_what_it_subscribed_to(stack: Stack) -> None:
    """Over its first connection: nobody who waits for events has to start twice."""
    await declare(stack)
    stream = events_stream(HERE, "environment")
    asked = f"api.environment.CONSUMER.CREATE.{stream}.x.events.{HERE}.environment.air_quality_alert.0"

    class Listener:
        name = "listener"

        @subscribe(AirQualityAlertRaised)
        def raised(self, alert, event): ...

    await join(stack, Listener)
    async with knocker(stack, "listener") as listener:
        while (await listener.publish({asked: consumer(asked)}, answered=True)).unheard:
            pass  # the server is still reading
        assert "error" not in (await listener.publish({asked: consumer(asked)}, answered=True)).answers[asked]


async def test_who_joins_is_read_by_those_who_wait_for_it(stack: Stack) -> None:
    """Over the connections they have."""

    class Newcomer:
        name = "newcomer"
        emit = Emit()

    stream = events_stream(HERE, "newcomer")
    asked = f"api.newcomer.CONSUMER.CREATE.{stream}.x.events.>"
    async with knocker(stack, "gateway") as reader:
        before = await reader.publish({asked: consumer(asked)}, answered=True)
        assert before.unheard
        await join(stack, Newcomer)
        async with knocker(stack, "newcomer") as newcomer:
            await newcomer.client.jetstream().add_stream(name=stream, subjects=[f"events.{HERE}.newcomer.>"])
        after = await reader.publish({asked: consumer(asked)}, answered=True)
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


async def join(stack: Stack, service: type) -> None:
    """A service is let in while the servers run."""
    await admit(stack.data, HERE, [service], stack.child(f"{HERE}.nats").pid, stack.nats_url(HERE))


async def _quiet(error: Exception) -> None:
    """nats-py would print it."""
