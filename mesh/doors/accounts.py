"""The accounts of a locality's NATS server: one for each principal, joined by what they declared to read (ADR-0027).

What a service does on its own account, its streams' configuration and reply subjects included, reaches nobody else.
What another one may ask of it is exported to that one alone, subject by subject, and imported under `api.<service>`.
https://docs.nats.io/running-a-nats-service/configuration/securing_nats/accounts
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mesh.bus import OWN_API, api_of
from mesh.doors.subjects import EVERY, NEXT, Door, Reading
from mesh.identity import EXCHANGE


def accounts(doors: Mapping[str, Door], logins: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the accounts in the server's words; `logins` says by principal how its user is named there."""
    watchers = [name for name, door in doors.items() if door.sees]
    exports: dict[str, dict[str, set[str]]] = {name: {} for name in doors}
    imports: dict[str, dict[str, Any]] = {name: {} for name in doors}
    for reader, door in doors.items():
        for owner, asked in _asked(reader, door, doors):
            exports[owner].setdefault(asked, set()).add(reader)
            there = asked.replace(OWN_API, api_of(owner), 1)
            imports[reader][there] = {"service": {"account": owner, "subject": asked}, "to": there}
    # The exchange's is there also without an exchange: the locality's link to others is in it.
    return {EXCHANGE: {"jetstream": "enabled"}} | {
        name: {
            "jetstream": "enabled",
            "users": [{**logins[name], "permissions": door.as_config()}],
            "exports": [_export(asked, readers) for asked, readers in sorted(exports[name].items())]
            + _shown(door, watchers),
            "imports": [imports[name][there] for there in sorted(imports[name])]
            + [_watched(owner, subject) for owner, subject in _events(name, door, doors)],
        }
        for name, door in doors.items()
    }


def _asked(reader: str, door: Door, doors: Mapping[str, Door]) -> Iterator[tuple[str, str]]:
    """Yields owners and what the reader may ask of their streams, under their own API."""
    for reading in door.reads:
        for owner, of_one in _of_each(reading, doors):
            if owner != reader:
                yield from ((owner, asked) for asked in of_one.asks())


def _of_each(reading: Reading, doors: Mapping[str, Door]) -> Iterator[tuple[str, Reading]]:
    """Yields a reading by owner; one of every log goes no further than the logs."""
    if reading.owner != EVERY:
        if reading.owner in doors:
            yield reading.owner, reading
        return
    for owner, door in doors.items():
        if door.log:
            yield owner, Reading(owner, door.log if reading.subject else reading.stream, reading.subject)


def _export(asked: str, readers: set[str]) -> dict[str, Any]:
    """A request; without the list of accounts it would be open to all."""
    export = {"service": asked, "accounts": sorted(readers)}
    return export | {"response_type": "stream"} if f".{NEXT}." in asked else export


def _shown(door: Door, watchers: list[str]) -> list[dict[str, Any]]:
    """Events as they go by."""
    return [{"stream": subject, "accounts": watchers} for subject in door.logged if watchers]


def _events(watcher: str, door: Door, doors: Mapping[str, Door]) -> Iterator[tuple[str, str]]:
    """Yields owners and subjects of the events that a principal sees go by."""
    for owner, other in doors.items():
        if door.sees and owner != watcher:
            yield from ((owner, subject) for subject in other.logged)


def _watched(owner: str, subject: str) -> dict[str, Any]:
    return {"stream": {"account": owner, "subject": subject}}
