"""What a principal may publish and subscribe at its node's NATS server, and what it may read of others' accounts.

A consumer is made under a subject that names its stream and its filter, and the server refuses one whose filter is
another: so reading is limited to what was declared, not only to the stream it is in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from mesh.bus import OWN_API, api_of, inbox_prefix
from mesh.doors.declared import Declared, Interest
from mesh.events import events_stream
from mesh.identity import EXCHANGE, OPERATOR
from mesh.log import events_log
from mesh.subscribe import ANY, LOCAL, PEERS

EVERY: Final = "*"
NEXT: Final = "MSG.NEXT"
"""The one verb that is answered by many messages."""


@dataclass(frozen=True, order=True)
class Reading:
    """What somebody reads of a stream that another service keeps."""

    owner: str
    """Service whose stream it is; `EVERY` for each that emits."""
    stream: str
    subject: str
    """Filter; empty for whatever there is, and how far each stream is."""

    def asks(self, api: str = OWN_API) -> list[str]:
        """Returns what is asked for under one API, so that one may read and look no further.

        Nobody may list consumers: their names are secrets of who made them.
        """
        made = ".".join(filter(None, [f"{api}.CONSUMER.CREATE.{self.stream}.*", self.subject]))
        taken = f"{api}.CONSUMER.{NEXT}.{self.stream}.*"
        last = f"{api}.CONSUMER.DELETE.{self.stream}.*" if self.subject else f"{api}.STREAM.INFO.{self.stream}"
        return [made, taken, last]


@dataclass(frozen=True)
class Door:
    """What is open to one principal; all else is closed."""

    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    """Both within its own account."""
    reads: tuple[Reading, ...] = ()
    """Of the accounts of others."""
    log: str = ""
    """Stream of its log, which others may read; empty without one."""
    logged: tuple[str, ...] = ()
    """Subjects of that log."""
    sees: bool = False
    """Whether it sees every event go by."""

    @property
    def open_to_publish(self) -> list[str]:
        """Everything it may publish: within its own account, and to ask others."""
        asked = (subject for reading in self.reads for subject in reading.asks(api_of(reading.owner)))
        return list(dict.fromkeys([*self.publish, *asked]))

    def as_config(self) -> dict[str, Any]:
        """Returns the permissions in the server's words, where an empty list would allow everything."""
        return {"publish": only(self.open_to_publish), "subscribe": only(self.subscribe)}


def only(subjects: tuple[str, ...] | list[str]) -> dict[str, Any]:
    """Returns one side of a permission that allows exactly these subjects, none if there are none."""
    return {"allow": list(subjects)} if subjects else {"deny": [">"]}


def door_of(service: Declared, locality: str) -> Door:
    """Returns what a service may do in a locality: its own log, its own streams, and what it declared to read."""
    publish: list[str] = []
    log = events_log(service.service_cls, locality) if service.emits else None
    if log is not None:
        publish += [*log.subjects, *_keeping(log.stream)]
    for stream in service.own_streams(locality):
        publish += [*stream.publishes, *_keeping(stream.name)]
        for subject in stream.reads:
            publish += Reading(service.name, stream.name, subject).asks()
    reads = {read for interest in service.interests for read in readings(interest, locality)}
    for read in reads:
        if read.owner == service.name or (read.owner == EVERY and log):
            publish += read.asks()
    return Door(
        tuple(dict.fromkeys(publish)),
        (f"{inbox_prefix(service.name)}.>",),
        tuple(sorted(read for read in reads if read.owner != service.name)),
        log.stream if log else "",
        log.subjects if log else (),
    )


def readings(interest: Interest, locality: str) -> Iterator[Reading]:
    """Yields what brings the events of an interest.

    All events are read by filter alone, from any log: a sector may be added while its readers run.
    """
    own, others = f"events.{locality}", "events.*"
    if not interest.topic:
        yield Reading(EVERY, EVERY, f"{own}.>" if interest.origin is LOCAL else "events.>")
        return
    line = f"{interest.sector}.{interest.topic}.*"
    if interest.origin in (LOCAL, ANY):
        yield Reading(interest.sector, events_stream(locality, interest.sector), f"{own}.{line}")
    if interest.origin in (PEERS, ANY):
        yield Reading(EXCHANGE, events_stream(locality, EXCHANGE), f"{others}.{line}")


def operators_door() -> Door:
    """Returns what an operator may do: see everything, change nothing."""
    seen = ("events.>", f"{inbox_prefix(OPERATOR)}.>")
    return Door((f"{OWN_API}.INFO",), seen, (Reading(EVERY, EVERY, ""),), sees=True)


def _keeping(stream: str) -> list[str]:
    """A stream of one's own: declare it, ask how far it is, read it message by message, end it."""
    verbs = ("CREATE", "UPDATE", "INFO", "PURGE", "DELETE")
    return [*(f"{OWN_API}.STREAM.{verb}.{stream}" for verb in verbs), f"{OWN_API}.DIRECT.GET.{stream}"]
