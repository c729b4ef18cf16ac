"""Handlers that stream: iterators of requests, generators of responses, a commit before each response."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message
from nameko.containers import WorkerContext

from mesh.call import Call
from mesh.commit import Failed, Stale
from mesh.errors import Aborted
from mesh.foreign_errors import classify
from mesh.unit import Run
from mesh.validation import check

if TYPE_CHECKING:
    from mesh.container import MeshContainer

_END = object()


class RequestIterator:
    """Requests of a stream as a handler in a worker thread iterates over them; each is checked as it comes."""

    def __init__(self, requests: AsyncIterator[Message], loop: asyncio.AbstractEventLoop) -> None:
        self._requests = requests
        self._loop = loop
        self._pending: Future[Message | None] | None = None

    def close(self) -> None:
        """Ends a wait for the next request, so that the handler's thread does not outlive its call."""
        if self._pending is not None:
            self._pending.cancel()

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        self._pending = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
        request = self._pending.result()
        if request is None:
            raise StopIteration
        check(request)
        return request

    async def _next(self) -> Message | None:
        return await anext(aiter(self._requests), None)


class HandlerStream:
    """One run of a streaming handler, in a thread of its own.

    It waits for its client most of the time; on the shared pool a few idle streams would keep all others out.
    """

    def __init__(self, container: MeshContainer, call: Call, *, single: bool = False) -> None:
        self._container = container
        self._call = call
        self._single = single
        self._failure: Any = None

    async def responses(self) -> AsyncIterator[Message]:
        """Yields responses, each after what was staged before it is committed.

        A handler that streams cannot be run again: a conflict ends it with `Aborted`.
        """
        work = self._container.begin({}, self._call)
        worker = self._container.worker(self._call, work)
        thread = ThreadPoolExecutor(1, thread_name_prefix="stream")
        iterator: Iterator[Message] = iter(())
        try:
            iterator = await self._in(thread, self._open, worker)
            while True:
                response = await self._in(thread, self._next, iterator)
                work.seal()
                if work.unit.to_commit:
                    await self._commit(work.unit)
                work.renew()
                if response is _END:
                    return
                yield response
        finally:
            if isinstance(self._call.args[0], RequestIterator):
                self._call.args[0].close()
            thread.submit(self._close, worker, iterator)
            thread.shutdown(wait=False)

    async def _in(self, thread: ThreadPoolExecutor, function: Callable[..., Any], *args: Any) -> Any:
        return await self._container.host.loop.run_in_executor(thread, self._call.context.run, function, *args)

    def _open(self, worker: WorkerContext) -> Iterator[Message]:
        self._container._inject_dependencies(worker)
        self._container._worker_setup(worker)
        method = getattr(worker.service, self._call.entrypoint.method_name)
        if self._single:
            return map(method, self._call.args)
        iterator: Iterator[Message] = iter(method(*self._call.args))
        return iterator

    def _next(self, iterator: Iterator[Message]) -> Any:
        try:
            return next(iterator, _END)
        except Exception as error:
            self._failure = sys.exc_info()
            known = classify(error)
            if known is error:
                raise
            raise known from error

    def _close(self, worker: WorkerContext, iterator: Iterator[Message]) -> None:
        """Ends the worker as nameko would, also one whose caller has left: its `finally` blocks run here."""
        if isinstance(iterator, Generator):
            iterator.close()
        self._container._worker_result(worker, None, self._failure)
        self._container._worker_teardown(worker)

    async def _commit(self, unit: Any) -> None:
        deadline = time.monotonic() + self._container.settings.default_deadline_s
        outcome = await self._container.commit(Run([unit], deadline))
        if isinstance(outcome, Failed):
            raise outcome.error
        if isinstance(outcome, Stale):
            raise Aborted("lost against a concurrent change; open the stream again")
