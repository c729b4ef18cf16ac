"""An event on the bus is a CloudEvent 1.0 that a stranger understands: a plain NATS client and the CloudEvents SDK."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_binary
from cloudevents.core.formats.base import Format
from cloudevents.core.v1.event import CloudEvent
from nats.aio.msg import Msg

from mesh import subscribe
from mesh.events import partition_of
from tests.hosts import Home
from tests.trial.contract import AmountForgotten, AmountRecorded
from tests.trial.services import TrialService


class Bytes(Format):
    """Leaves the payload as it is: the subscriber knows protobuf from `datacontenttype`."""

    def read_data(self, body: bytes | str, datacontenttype: str | None) -> Any:
        return body

    def read(self, event_factory: Any, data: str | bytes) -> Any:
        raise NotImplementedError

    def write(self, event: Any) -> bytes:
        raise NotImplementedError

    def write_data(self, data: Any, datacontenttype: str | None) -> bytes:
        raise NotImplementedError

    def get_content_type(self) -> str:
        raise NotImplementedError


def cloud_event(msg: Msg) -> CloudEvent:
    """Reads a message by the SDK. It has no NATS binding; HTTP's has the same rules but for the content type."""
    headers = dict(msg.headers or {})
    headers["content-type"] = headers.pop("ce-datacontenttype")
    event = from_binary(HTTPMessage(headers, msg.data), Bytes(), CloudEvent)
    assert isinstance(event, CloudEvent)
    return event


class Chain(TrialService):
    """Forgets what it has recorded: an event that causes an event."""

    @subscribe(AmountRecorded)
    def forget(self, amount, event):
        self.emit(AmountForgotten(key=amount.key))


@pytest.fixture
async def heard(home: Home) -> list[Msg]:
    """What a plain subscriber hears of a recorded amount and what follows from it."""
    subscription = await (await home.bus()).subscribe("events.>")
    host = await home.start(Chain)

    await home.trial(host).record("station-7", 3)

    return [await subscription.next_msg(timeout=10) for _ in range(2)]


async def test_the_subject_names_origin_sector_topic_and_partition_and_no_key(home: Home, heard: list[Msg]) -> None:
    assert heard[0].subject == f"events.{home.locality}.trial.amount.{partition_of('station-7')}"


async def test_the_sdk_reads_who_what_when_and_about_what(home: Home, heard: list[Msg]) -> None:
    event = cloud_event(heard[0])

    assert event.get_specversion() == "1.0"
    assert (event.get_source(), event.get_subject()) == (f"/{home.locality}/trial", "station-7")
    assert event.get_type() == "trial.v1.AmountRecorded"
    assert datetime.now(UTC) - event.get_time() < timedelta(minutes=1)
    assert event.get_dataschema() == "urn:lienthong:schema:trial.v1.AmountRecorded"
    assert heard[0].headers["ce-datacontenttype"] == "application/protobuf"


async def test_the_payload_is_the_message(heard: list[Msg]) -> None:
    assert AmountRecorded.FromString(heard[0].data) == AmountRecorded(key="station-7", amount=3)


async def test_the_extensions_carry_its_numbers_and_its_partition_key(heard: list[Msg]) -> None:
    event = cloud_event(heard[0])

    numbers = [event.get_extension(name) for name in ("sequence", "originsequence", "keyrevision")]
    assert numbers == ["1", "1", "1"]
    assert event.get_extension("partitionkey") == "station-7"


async def test_an_event_says_what_caused_it_and_to_which_story_it_belongs(heard: list[Msg]) -> None:
    cause, effect = cloud_event(heard[0]), cloud_event(heard[1])

    assert effect.get_type() == "trial.v1.AmountForgotten"
    assert effect.get_extension("causationid") == cause.get_id()
    assert effect.get_extension("correlationid") == cause.get_extension("correlationid") == cause.get_id()
