"""What one service class declares: what it answers, calls, emits and reads."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from nameko.extensions import ENTRYPOINT_EXTENSIONS_ATTR, DependencyProvider, Entrypoint

from mesh.contracts import service_descriptor
from mesh.lookup import Lookup, lookup_of
from mesh.rpc import contract_of
from mesh.sector_client import Client
from mesh.subscribe import Origin, Subscription
from mesh.work import Emit


@dataclass(frozen=True, order=True)
class Interest:
    """Events a service reads: those of a topic, or all there are."""

    origin: Origin
    """Whose: of its own locality, of peers, or both."""
    sector: str = ""
    topic: str = ""
    """Both empty for all events."""


@dataclass(frozen=True)
class OwnStream:
    """A stream that a service declares, and nobody else writes to."""

    name: str
    publishes: tuple[str, ...] = ()
    """Subjects the service publishes to it; none to a stream that only sources."""
    reads: tuple[str, ...] = ()
    """Filters the service reads it by; none where it only writes."""


@dataclass(frozen=True)
class Declared:
    """A service class as its declarations describe it."""

    service_cls: type[Any]
    name: str
    emits: bool
    interests: tuple[Interest, ...]
    calls: tuple[str, ...]
    """Contracts of other sectors it calls, by full name."""
    contract: ServiceDescriptor | None

    @property
    def on_bus(self) -> bool:
        """Whether it has business at its node's NATS server."""
        return self.emits or bool(self.interests) or hasattr(self.service_cls, "own_streams")

    @property
    def lookups(self) -> list[Lookup]:
        """Its RPCs that other localities may ask, and that ask other localities."""
        methods = self.contract.methods if self.contract else ()
        return [lookup for method in methods if (lookup := lookup_of(method))]

    @property
    def answers_lookups(self) -> bool:
        """Whether it asks the sectors of its locality on behalf of others."""
        return getattr(self.service_cls, "answers_lookups", False)

    def own_streams(self, locality: str) -> list[OwnStream]:
        """Streams it declares beside that of its log: what its class says in `own_streams`."""
        declare = getattr(self.service_cls, "own_streams", None)
        return list(declare(locality)) if declare else []


def declared(service_cls: type[Any]) -> Declared:
    """Reads the declarations of a service class.

    A service whose interest no `@subscribe` tells, because it follows from agreements or from what callers ask for,
    says whose events it may read in the class attribute `reads_events`.
    """
    dependencies = [found for _, found in inspect.getmembers(service_cls, _is_dependency)]
    interests = {_interest(one) for one in _entrypoints(service_cls) if isinstance(one, Subscription)}
    if origin := getattr(service_cls, "reads_events", None):
        interests.add(Interest(origin))
    return Declared(
        service_cls,
        service_cls.name,
        emits=any(isinstance(one, Emit) for one in dependencies),
        interests=tuple(sorted(interests, key=lambda one: (one.sector, one.topic, one.origin.value))),
        calls=tuple(sorted(_called(one) for one in dependencies if isinstance(one, Client))),
        contract=contract_of(service_cls),
    )


def _is_dependency(found: Any) -> bool:
    return isinstance(found, DependencyProvider)


def _entrypoints(service_cls: type[Any]) -> Iterator[Entrypoint]:
    for _, method in inspect.getmembers(service_cls, inspect.isfunction):
        yield from getattr(method, ENTRYPOINT_EXTENSIONS_ATTR, ())


def _interest(subscription: Subscription) -> Interest:
    kind = subscription.event_type
    return Interest(subscription.origin, kind.sector, kind.topic)


def _called(client: Client) -> str:
    return service_descriptor(client.contract).full_name
