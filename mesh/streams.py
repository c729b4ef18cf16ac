"""Handlers that stream: iterators of requests, generators of responses, a commit before each response."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message
from nameko.containers import WorkerContext

from mesh.call import Call
from mesh.commit import Failed, Stale
from mesh.errors import Aborted, MeshError, classify
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

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        request = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        if request is None:
            raise StopIteration
        check(request)
        return request

    async def _next(self) -> Message | None:
        return await anext(aiter(self._requests), None)


class HandlerStream:
    """One run of a streaming handler, in a worker thread from response to response."""

    def __init__(self, container: MeshContainer, call: Call, *, single: bool = False) -> None:
        self._container = container
        self._call = call
        self._single = single

    async def responses(self) -> AsyncIterator[Message]:
        """Yields responses, each after what was staged before it is committed.

        A handler that streams cannot be run again: a conflict ends it with `Aborted`.
        """
        work = self._container.begin({}, self._call)
        worker = WorkerContext(
            self._container,
            self._container.service_cls(),
            self._call.entrypoint,
            self._call.args,
            {},
            data={"work": work},
        )
        iterator = await self._container.in_thread(self._open, worker)
        while True:
            response = await self._container.in_thread(self._next, iterator)
            work.seal()
            if work.unit.writes:
                await self._commit(work.unit)
            work.renew()
            if response is _END:
                return
            yield response

    def _open(self, worker: WorkerContext) -> Iterator[Message]:
        self._container._inject_dependencies(worker)
        method = getattr(worker.service, self._call.entrypoint.method_name)
        if self._single:
            return iter([method(*self._call.args)])
        iterator: Iterator[Message] = iter(method(*self._call.args))
        return iterator

    @staticmethod
    def _next(iterator: Iterator[Message]) -> Any:
        try:
            return next(iterator, _END)
        except MeshError:
            raise
        except Exception as error:
            raise classify(error) from error

    async def _commit(self, unit: Any) -> None:
        deadline = time.monotonic() + self._container.settings.default_deadline_s
        outcome = await self._container.commit(Run([unit], deadline))
        if isinstance(outcome, Failed):
            raise outcome.error
        if isinstance(outcome, Stale):
            raise Aborted("lost against a concurrent change; open the stream again")
