"""One handler run: its unit of work, what caused it, who called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from nameko.extensions import DependencyProvider
from pydantic import BaseModel
from pymongo.collection import Collection
from pymongo.database import Database

from mesh.auth import Caller as CallerIdentity
from mesh.clock import Time
from mesh.errors import ContractError
from mesh.events import Event, catalogue, event_subject, new_event, to_headers
from mesh.pool import blocking
from mesh.remembered import Remembered
from mesh.store import StoreSession
from mesh.telemetry import inject
from mesh.unit import EVENTS_LOG, Outgoing, Raw, Unit


@dataclass(slots=True)
class Work:
    """What the runtime keeps for one handler run; dependency providers reach it as ``worker_ctx.data["work"]``."""

    unit: Unit
    session: StoreSession
    emitter: Emitter
    caller: CallerIdentity | None = None
    cause: Event | None = None

    @classmethod
    def begin(
        cls,
        database: Database[Raw],
        *,
        source: str,
        time: Time,
        beneath: Mapping[Any, Any],
        remembered: Remembered | None = None,
        caller: CallerIdentity | None = None,
        cause: Event | None = None,
    ) -> Work:
        unit = Unit(beneath=beneath)
        session = StoreSession(unit, database, remembered)
        return cls(unit, session, Emitter(unit, source, time, cause), caller, cause)

    def renew(self) -> None:
        """Begins a new unit for the same handler run, as a stream does after each commit."""
        self.unit = Unit()
        self.session.renew(self.unit)
        self.emitter.renew(self.unit)

    def seal(self) -> dict[str, int]:
        """Moves what the handler put into the unit; returns what it commits, counted by type."""
        written = self.session.seal()
        if not written and not self.unit.outgoing:
            return {}
        committed = Counter(written)
        committed.update(outgoing.type for outgoing in self.unit.outgoing)
        return dict(committed)


class AwaitedDatabase:
    """A database as handlers read it: who asks for a collection is about to wait for what is in it."""

    def __init__(self, database: Database[Raw]) -> None:
        self._database = database

    def __getitem__(self, name: str) -> Collection[Raw]:
        blocking()
        return self._database[name]


class Emitter:
    """What a handler calls as ``self.emit``."""

    def __init__(self, unit: Unit, source: str, time: Time, cause: Event | None) -> None:
        self._unit = unit
        self._source = source
        self._time = time
        self._cause = cause

    def renew(self, unit: Unit) -> None:
        self._unit = unit

    def __call__(self, message: Message) -> None:
        """Emits an event, committed with the documents of this run.

        Raises `Internal` when the message breaks its contract: that is a defect of the handler.
        """
        traceparent, tracestate = inject()
        event = new_event(
            message,
            source=self._source,
            time=self._time.now(),
            causation=self._cause,
            traceparent=traceparent,
            tracestate=tracestate,
        )
        if event.sector != catalogue()[event.type].sector:
            raise ContractError(f"{self._source} emits {event.type}, which belongs to another sector")
        self.forward(event, line=event.line)

    def forward(self, event: Event, *, line: str, log: str = EVENTS_LOG, subject: str = "") -> None:
        """Adds an event that is already in its envelope to any log of the service, on any line."""
        origin, sector, topic, partition = event.origin, event.sector, event.topic, event.partition
        self._unit.outgoing.append(
            Outgoing(
                log=log,
                line=line,
                subject=subject or event_subject(origin, sector, topic, partition),
                headers=to_headers(event),
                data=event.data,
                type=event.type.rpartition(".")[2],
            )
        )


class Emit(DependencyProvider):
    """Injects the emitter of the run."""

    def get_dependency(self, worker_ctx: Any) -> Emitter:
        emitter: Emitter = worker_ctx.data["work"].emitter
        return emitter


class Caller(DependencyProvider):
    """Injects who called: subject, locality and scopes of the token. ``None`` where an event or the clock called."""

    def get_dependency(self, worker_ctx: Any) -> CallerIdentity | None:
        caller: CallerIdentity | None = worker_ctx.data["work"].caller
        return caller


class Here(DependencyProvider):
    """Injects the slug of the service's own locality."""

    def get_dependency(self, worker_ctx: Any) -> str:
        slug: str = worker_ctx.container.locality
        return slug


class Config(DependencyProvider):
    """Injects the service's own settings, a pydantic model read from ``LIENTHONG_<SERVICE>__…``."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model

    def get_dependency(self, worker_ctx: Any) -> BaseModel:
        container = worker_ctx.container
        section: BaseModel | None = getattr(container.settings, container.service_name, None)
        return self.model() if section is None else section
