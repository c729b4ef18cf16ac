"""Handlers that stream from the loop: async generators that read, wait and commit nothing.

A stream that waits for events most of its life holds no thread: a thousand of them are a thousand tasks.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import sys
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self

from google.protobuf.message import Message
from nameko.containers import WorkerContext
from nameko.extensions import DependencyProvider

from mesh.call import Call
from mesh.errors import ContractError, ResourceExhausted
from mesh.work import Work

if TYPE_CHECKING:
    from mesh.container import MeshContainer

_END = object()

Responses = AsyncGenerator[Message | bytes, None]


class HoldsStreams(DependencyProvider):
    """A dependency whose streams last until somebody ends them."""

    def drain(self) -> None:
        """Ends them: the process is about to stop. Called before the server waits for calls under way."""
        raise NotImplementedError


def runs_on_loop(service_cls: type[Any], method_name: str) -> bool:
    """Whether a method of a service class is an async generator. Raises `ContractError` for another coroutine."""
    method = getattr(service_cls, method_name)
    if inspect.iscoroutinefunction(method):
        raise ContractError(
            f"{service_cls.name}.{method_name} is a coroutine: only a stream of responses runs on the loop"
        )
    return inspect.isasyncgenfunction(method)


def serialized(response: Message | bytes) -> bytes:
    """What goes out. A handler may hand over bytes it has serialized once for many callers."""
    return response if isinstance(response, bytes) else response.SerializeToString()


class LoopStream:
    """One run of a handler that streams from the loop."""

    def __init__(self, container: MeshContainer, call: Call) -> None:
        self._container = container
        self._call = call

    async def write_to(self, context: Any) -> None:
        """Writes each response as fast as the reader takes it.

        A reader that takes nothing for `runtime.slow_reader_s` is cut off: the handler is thrown `ResourceExhausted`
        where it yielded, so that it can say how far the reader came. Raises what the handler raises.
        """
        work = self._container.begin({}, self._call)
        worker = self._container.worker(self._call, work)
        self._container._inject_dependencies(worker)
        self._container._worker_setup(worker)
        try:
            responses: Responses = getattr(worker.service, self._call.entrypoint.method_name)(*self._call.args)
            with Patience(self._container.settings.runtime.slow_reader_s) as patience:
                async with aclosing(responses):
                    response = await anext(responses, _END)
                    while response is not _END:
                        response = await _next(responses, patience, context.write(response))
            _committed_nothing(worker, work)
        finally:
            failure = sys.exc_info()
            self._container._worker_result(worker, None, None if failure[0] is None else failure)
            self._container._worker_teardown(worker)


class Patience:
    """Ends a write that takes too long. Its timer is set once in a while, not for each write: that costs 4 µs."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._writing_since = math.inf
        self._lost = False
        self._timer = self._loop.call_later(limit_s, self._look)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    async def write(self, writing: Awaitable[None]) -> None:
        """Awaits a write. Raises `TimeoutError`."""
        self._writing_since = self._loop.time()
        try:
            await writing
        except asyncio.CancelledError:
            # Who else cancels the task does so besides, and then it counts more than one.
            lost, self._lost = self._lost, False
            if lost and self._task is not None and self._task.uncancel() == 0:
                raise TimeoutError from None
            raise
        finally:
            self._writing_since = math.inf

    def _look(self) -> None:
        left_s = self._writing_since + self.limit_s - self._loop.time()
        if left_s <= 0 and self._task is not None:
            self._lost = True
            self._task.cancel()
            left_s = self.limit_s
        self._timer = self._loop.call_later(min(left_s, self.limit_s), self._look)


async def _next(responses: Responses, patience: Patience, writing: Awaitable[None]) -> Any:
    try:
        await patience.write(writing)
    except TimeoutError:
        slow = ResourceExhausted(f"the reader took nothing for {patience.limit_s:g} s")
        try:
            return await responses.athrow(slow)
        except StopAsyncIteration:
            raise slow from None
    return await anext(responses, _END)


def _committed_nothing(worker: WorkerContext, work: Work) -> None:
    if work.seal() or work.unit.to_commit:
        raise ContractError(f"{worker.call_id}: a handler on the loop reads only; what it staged is not committed")
