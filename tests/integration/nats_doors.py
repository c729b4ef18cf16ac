"""What should open at a locality's NATS server, told from the declarations in words of their own.

Not from the permissions and accounts the server was given: who emits, who subscribes to which topic of whom.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from zlib import crc32

from mesh.doors.declared import Declared, declared
from mesh.events import catalogue, events_stream
from mesh.identity import OPERATOR
from mesh.installed import installed_services, service_class
from mesh.sharing import received_stream, share_stream
from mesh.stack import Stack
from mesh.subscribe import ANY, LOCAL, PEERS, Origin
from tests.integration.doors import HERE, THERE, knocker

SERVICES = {name: declared(service_class(place)) for name, place in installed_services().items()}
EMITTERS = [name for name, service in SERVICES.items() if service.emits]
EXCHANGE = "exchange"
PRINCIPALS = [*(name for name, service in SERVICES.items() if service.on_bus), OPERATOR]
LOGS = {events_stream(HERE, name): name for name in EMITTERS}
STREAMS = LOGS | {share_stream(HERE, THERE): EXCHANGE, received_stream(HERE): EXCHANGE, "SOMEBODY_ELSES": "health"}
"""Streams by the service in whose account they are."""
CHANGES = [*(f"STREAM.{verb}" for verb in ("CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE")), "DIRECT.GET"]
NO_JSON = b"?"
"""A body that every request of the API refuses, so that what is open changes nothing."""


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


async def declare(stack: Stack) -> None:
    """Every service declares the streams of its log, as its relay does."""
    for name in EMITTERS:
        stream = events_stream(HERE, name)
        config = {"name": stream, "subjects": log_subjects(SERVICES[name]), "storage": "memory"}
        async with knocker(stack, name) as knocking:
            tried = await knocking.publish(
                {f"$JS.API.STREAM.CREATE.{stream}": json.dumps(config).encode()}, answered=True
            )
        assert [answer.get("error") for answer in tried.answers.values()] == [None]


def cells_of(principal: str, streams: Iterable[str]) -> dict[str, tuple[str, str, str, str]]:
    """Where a principal would ask for each topic of each locality's events, on each of these streams."""
    topics = sorted({(kind.sector, kind.topic) for kind in catalogue() if kind.sector in SERVICES})
    return {
        creating(principal, stream, f"events.{origin}.{sector}.{topic}.0"): (stream, origin, sector, topic)
        for stream in streams
        for origin in (HERE, THERE, "*")
        for sector, topic in topics
    }


def creating(principal: str, stream: str, subject: str) -> str:
    """Where a consumer with that filter is asked for."""
    owner = STREAMS[stream]
    api = "$JS.API" if owner == principal else f"api.{owner}"
    return f"{api}.CONSUMER.CREATE.{stream}.probe-{crc32(subject.encode())}.{subject}"


def consumer(creating: str, **more: str) -> bytes:
    """What is asked for there."""
    stream, name, *subject = creating.partition(".CONSUMER.CREATE.")[2].split(".", 2)
    config = {"name": name, "ack_policy": "none", "deliver_policy": "all", "mem_storage": True, **more}
    if subject:
        config["filter_subject"] = subject[0]
    return json.dumps({"stream_name": stream, "config": config}).encode()


def log_subjects(service: Declared) -> list[str]:
    if hasattr(service.service_cls, "log_subjects"):
        subjects: list[str] = service.service_cls.log_subjects(HERE)
        return subjects
    return [f"events.{HERE}.{service.name}.>"]
