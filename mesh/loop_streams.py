"""Handlers that stream from the loop: async generators that read, wait and commit nothing.

A stream that waits for events most of its life holds no thread: a thousand of them are a thousand tasks.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

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
            async with aclosing(responses):
                response = await anext(responses, _END)
                while response is not _END:
                    response = await self._next(responses, response, context)
            _committed_nothing(worker, work)
        finally:
            failure = sys.exc_info()
            self._container._worker_result(worker, None, None if failure[0] is None else failure)
            self._container._worker_teardown(worker)

    async def _next(self, responses: Responses, response: Any, context: Any) -> Any:
        limit_s = self._container.settings.runtime.slow_reader_s
        try:
            async with asyncio.timeout(limit_s):
                await context.write(response)
        except TimeoutError:
            slow = ResourceExhausted(f"the reader took nothing for {limit_s:g} s")
            try:
                return await responses.athrow(slow)
            except StopAsyncIteration:
                raise slow from None
        return await anext(responses, _END)


def _committed_nothing(worker: WorkerContext, work: Work) -> None:
    if work.seal() or work.unit.to_commit:
        raise ContractError(f"{worker.call_id}: a handler on the loop reads only; what it staged is not committed")
