"""`MeshContainer`: nameko's service container, hosted on asyncio.

nameko gives the programming model: service class, entrypoints, dependency providers, worker lifecycle. Its
own container runs workers as eventlet greenlets; here they are threads of the host's pool, so MongoEngine and
domain code may block while `grpc.aio` and nats-py share one loop (ADR-0001).
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from nameko.containers import ServiceContainer, WorkerContext
from nats.aio.client import Client
from nats.js import JetStreamContext
from pymongo import MongoClient
from pymongo.database import Database

from mesh import log as logs
from mesh.bus import OWN_API, Account, api_of
from mesh.call import Call, Done
from mesh.commit import Committed, Committer, Outcome, Stale
from mesh.doors.declared import declared
from mesh.errors import MeshError
from mesh.events import source_of
from mesh.foreign_errors import classify
from mesh.indexes import ensure_indexes
from mesh.log import Log
from mesh.loop_streams import HoldsStreams
from mesh.members import Members
from mesh.pool import blocking
from mesh.relay import Relay
from mesh.remembered import Remembered
from mesh.rpc import Rpc
from mesh.runs import Runs
from mesh.store import StagedInRun, Store
from mesh.telemetry import commit_span
from mesh.unit import Address, Raw, Run
from mesh.work import AwaitedDatabase, Emit, Work

if TYPE_CHECKING:
    from mesh.host import Host
    from mesh.subscribe import Flow

_logger = logging.getLogger(__name__)


class MeshContainer(ServiceContainer):
    """One service in one process: its extensions, its commits, its logs."""

    def __init__(self, service_cls: type[Any], host: Host) -> None:
        super().__init__(service_cls, config={})
        self.host = host
        self.settings = host.settings
        self.locality: str = host.settings.locality
        self.source = source_of(self.locality, self.service_name)
        self.mongo: MongoClient[Raw] = host.databases.client(self.service_name)
        self.database: Database[Raw] = self.mongo[database_name(self.locality, self.service_name)]
        self._awaited_database = cast("Database[Raw]", AwaitedDatabase(self.database))
        self.nats: Client
        self.jetstream: JetStreamContext
        self.logs: dict[str, Log] = {}
        self.relays: dict[str, Relay] = {}
        self.members = Members(self.database, ttl_s=host.settings.runtime.member_ttl_s, instance=host.instance)
        runtime = host.settings.runtime
        self.committer = Committer(
            self.database,
            logs=self.logs,
            batch_units=runtime.batch_units,
            batch_bytes=runtime.batch_bytes,
            queue_limit=runtime.queue_limit,
            on_logged=self._on_logged,
            on_session=self.members.remember_session,
            service=self.service_name,
        )
        self.remembered = Remembered(most_documents=runtime.remembered_documents, most_bytes=runtime.remembered_bytes)
        self.flows: list[Flow] = []
        """Subscriptions that are being read."""
        self.in_flight = 0
        """Calls being answered."""
        self.loading = asyncio.Lock()
        """Held by who reads where a partition stands: at the start all want to, and would open a connection each."""
        self.runs = Runs(self)

    # --- the bus ------------------------------------------------------------------------------------------

    @property
    def on_bus(self) -> bool:
        """Whether the service has business on the bus."""
        return declared(self.service_cls).on_bus

    def join_bus(self, connection: Client) -> None:
        """Takes the connection everything of this service goes over."""
        self.nats = connection
        self.jetstream = Account(connection).jetstream

    def account_of(self, service: str) -> Account:
        """Returns how this service reaches the streams of another one, or its own; `join_bus` comes first."""
        apart = service not in ("", self.service_name) and self.settings.credentials_folder() is not None
        return Account(self.nats, api_of(service) if apart else OWN_API)

    async def reconnected(self) -> None:
        """Pull requests and acknowledgements die with the connection: cursors and relays begin anew."""
        for relay in self.relays.values():
            relay.reconnected()
        for flow in self.flows:
            for reader in flow.readers:
                reader.lose("reconnected")

    # --- lifecycle ---------------------------------------------------------------------------------------

    async def start_async(self) -> None:
        """Prepares the database, declares the log, sets up all extensions, then starts them."""
        if self.writes:
            await self.in_thread(self._prepare)
            await self.members.start()
        if self._emits():
            await self.open_log(logs.events_log(self.service_cls, self.locality))
        for extension in self._in_order():
            await _maybe_await(extension.setup())
        for extension in self._in_order():
            await _maybe_await(extension.start())
        self.started = True

    def drain(self) -> None:
        """Ends streams that would otherwise last as long as the process."""
        for dependency in self.dependencies:
            if isinstance(dependency, HoldsStreams):
                dependency.drain()

    async def stop_async(self) -> None:
        """Stops in the order that loses nothing.

        First every entrypoint is asked to stop: no new worker starts, and those running finish. What they staged
        is committed before the committing thread ends; then relays publish what is logged, as far as the broker
        answers. Dependency providers stop last, since workers may have used them until then.
        """
        self.committer.give_up_after(self.settings.runtime.drain_timeout_s / 2)
        await asyncio.gather(*(_maybe_await(entrypoint.stop()) for entrypoint in self.entrypoints))
        await self.runs.drain()
        await self.in_thread(self.committer.stop)
        await asyncio.gather(*(relay.stop() for relay in self.relays.values()))
        for dependency in self.dependencies | self.subextensions:
            await _maybe_await(dependency.stop())
        if self.writes:
            await self.members.stop()
        self.started = False

    def _in_order(self) -> list[Any]:
        """Dependency providers before entrypoints: nothing runs before what it needs."""
        return [*self.subextensions, *self.dependencies, *self.entrypoints]

    def _prepare(self) -> None:
        ensure_indexes(self.database, self.service_cls, timedelta(days=self.settings.runtime.request_keep_days))
        self.committer.start()

    def _emits(self) -> bool:
        return any(isinstance(dependency, Emit) for dependency in self.dependencies)

    @property
    def writes(self) -> bool:
        """Whether the service ever commits anything: each table and connection takes its share of MongoDB's memory.

        One that does not has nothing to share out among its processes either.
        """
        return any(isinstance(dependency, Store | Emit) for dependency in self.dependencies) or any(
            not isinstance(entrypoint, Rpc) or entrypoint.records_requests for entrypoint in self.entrypoints
        )

    async def open_log(self, log: Log) -> Relay:
        """Opens a log once: indexes, stream, relay. Returns its relay."""
        if log.name not in self.relays:
            self.logs[log.name] = log
            await self.in_thread(logs.prepare, self.database, log)
            relay = Relay(self, log)
            await relay.start()
            self.relays[log.name] = relay
        return self.relays[log.name]

    # --- handler runs ------------------------------------------------------------------------------------

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        """Runs blocking code on the host's pool, in the present context."""
        context = contextvars.copy_context()
        return await self.host.pool.run(context.run, _wait_for, function, *args)

    def worker(self, call: Call, work: Work) -> WorkerContext:
        """nameko's context of one handler run."""
        data = {"work": work, "call": call}
        return WorkerContext(self, self.service_cls(), call.entrypoint, call.args, {}, data=data)

    def execute(self, call: Call, work: Work) -> Any:
        """Runs one handler to its end through nameko's worker lifecycle. Blocking; raises what the handler raises."""
        worker = self.worker(call, work)
        self._inject_dependencies(worker)
        self._worker_setup(worker)
        try:
            result = getattr(worker.service, call.entrypoint.method_name)(*call.args)
        except Exception:
            self._worker_result(worker, None, sys.exc_info())
            raise
        else:
            self._worker_result(worker, result, None)
            return result
        finally:
            self._worker_teardown(worker)

    def begin(self, beneath: dict[Address, Raw | None], call: Call, remembered: Remembered | None = None) -> Work:
        return Work.begin(
            self._awaited_database,
            source=self.source,
            time=self.host.time,
            beneath=beneath,
            remembered=remembered,
            caller=call.caller,
            cause=call.cause,
        )

    def run_sealed(self, call: Call, beneath: dict[Address, Raw | None], *, recalling: bool = False) -> Done:
        """Runs one handler and seals its unit. Blocking; raises a `MeshError`, or `StagedInRun`.

        ``recalling`` lets it use documents this process remembers. No commit checks what a failure was decided on, so
        a handler that fails over something recalled runs once more and reads.
        """
        work = self.begin(beneath, call, self.remembered if recalling else None)
        try:
            result = call.context.run(self.execute, call, work)
            return Done(result, work.unit, work.seal())
        except StagedInRun:
            raise
        except Exception as error:
            if work.unit.recalled:
                return self.run_sealed(call, beneath)
            if isinstance(error, MeshError):
                raise
            known = classify(error)
            if not known.transient:
                _logger.exception("%s.%s failed", self.service_name, call.entrypoint.method_name)
            raise known from error

    async def commit(self, run: Run) -> Outcome:
        """Commits a run with whatever else is waiting; returns when it is durable, or known not to be."""
        future: asyncio.Future[Outcome] = self.host.loop.create_future()

        def answer(outcome: Outcome) -> None:
            self._remember(run, outcome)
            self.host.post(_resolve, future, outcome)

        with commit_span(self.database.name):
            self.committer.submit(run, answer)
            return await future

    def commit_if_quiet(self, run: Run) -> Outcome | None:
        """Commits a run on the calling worker. ``None`` where other runs are being committed: then `commit` it."""
        with self.committer.quiet() as mine:
            if not mine:
                return None
            blocking()
            with commit_span(self.database.name):
                outcome = self.committer.commit(run)
            self._remember(run, outcome)
            return outcome

    def _remember(self, run: Run, outcome: Outcome) -> None:
        """Called on the thread that commits, before anybody learns of the outcome."""
        if isinstance(outcome, Committed):
            self.remembered.committed(run.staged(), outcome.number)
        elif isinstance(outcome, Stale):
            self.remembered.forget(outcome.addresses)

    async def perform(self, calls: Sequence[Call]) -> list[Any]:
        """Runs calls and commits them; see `mesh.runs.Runs.perform`."""
        return await self.runs.perform(calls)

    # --- logs --------------------------------------------------------------------------------------------

    def _on_logged(self, log: str, entries: list[Raw]) -> None:
        """Called on the thread that commits: wakes the relay with what it may publish."""
        relay = self.relays.get(log)
        if relay is not None:
            self.host.post(relay.offer, entries)


def _wait_for(function: Callable[..., Any], *args: Any) -> Any:
    blocking()
    return function(*args)


def database_name(locality: str, service: str) -> str:
    """Name of the database of a service in a locality."""
    return f"{locality}_{service}".replace("-", "_")


def _resolve(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)


async def _maybe_await(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
