"""What a principal may publish and subscribe at its node's NATS server.

A consumer is made under a subject that names its stream and its filter, and the server refuses one whose filter is
another: so reading is limited to what was declared, not only to the stream it is in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from mesh.bus import inbox_prefix
from mesh.doors.declared import Declared, Interest
from mesh.events import events_stream
from mesh.identity import OPERATOR
from mesh.log import events_log
from mesh.subscribe import ANY, EXCHANGE, LOCAL, PEERS

_API: Final = "$JS.API"
_EVERY: Final = "*"


@dataclass(frozen=True)
class Door:
    """Subjects open to one principal; all others are closed."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    def as_config(self) -> dict[str, Any]:
        """Returns the permissions in the server's words, where an empty list would allow everything."""
        return {"publish": only(self.publish), "subscribe": only(self.subscribe)}


def only(subjects: tuple[str, ...] | list[str]) -> dict[str, Any]:
    """Returns one side of a permission that allows exactly these subjects, none if there are none."""
    return {"allow": list(subjects)} if subjects else {"deny": [">"]}


def door_of(service: Declared, locality: str) -> Door:
    """Returns what a service may do in a locality: its own log, its own streams, and what it declared to read."""
    publish: list[str] = []
    if service.emits:
        log = events_log(service.service_cls, locality)
        publish += [*log.subjects, *_keeping(log.stream)]
    for stream in service.own_streams(locality):
        publish += [*stream.publishes, *_keeping(stream.name)]
        publish += _reading(stream.name, stream.reads)
    for source, subject in sorted({read for interest in service.interests for read in reads(interest, locality)}):
        publish += _reading(source, (subject,))
    return Door(tuple(dict.fromkeys(publish)), (f"{inbox_prefix(service.name)}.>",))


def reads(interest: Interest, locality: str) -> Iterator[tuple[str, str]]:
    """Yields streams and filters that bring the events of an interest.

    All events are read by filter alone, from any stream: a sector may be added while its readers run.
    """
    own, others = f"events.{locality}", "events.*"
    if not interest.topic:
        yield _EVERY, f"{own}.>" if interest.origin is LOCAL else "events.>"
        return
    line = f"{interest.sector}.{interest.topic}.*"
    if interest.origin in (LOCAL, ANY):
        yield events_stream(locality, interest.sector), f"{own}.{line}"
    if interest.origin in (PEERS, ANY):
        yield events_stream(locality, EXCHANGE), f"{others}.{line}"


def operators_door() -> Door:
    """Returns what an operator may do: see everything, change nothing."""
    look = [f"{_API}.INFO", f"{_API}.STREAM.INFO.*", f"{_API}.STREAM.NAMES", f"{_API}.STREAM.LIST"]
    read = [f"{_API}.CONSUMER.CREATE.*.*", f"{_API}.CONSUMER.INFO.*.*", f"{_API}.CONSUMER.MSG.NEXT.*.*"]
    return Door((*look, *read), ("events.>", f"{inbox_prefix(OPERATOR)}.>"))


def _keeping(stream: str) -> list[str]:
    """A stream of one's own: declare it, ask how far it is, read it message by message, end it."""
    verbs = ("CREATE", "UPDATE", "INFO", "PURGE", "DELETE")
    return [*(f"{_API}.STREAM.{verb}.{stream}" for verb in verbs), f"{_API}.DIRECT.GET.{stream}"]


def _reading(stream: str, filters: tuple[str, ...]) -> list[str]:
    """A stream as far as a filter goes. Nobody may list consumers: their names are secrets of who made them."""
    if not filters:
        return []
    made = [f"{_API}.CONSUMER.CREATE.{stream}.*.{subject}" for subject in filters]
    return [*made, f"{_API}.CONSUMER.MSG.NEXT.{stream}.*", f"{_API}.CONSUMER.DELETE.{stream}.*"]
