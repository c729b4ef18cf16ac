"""Patience: each unary call has a deadline, and what may be repeated is repeated for as long as that allows.

gRPC makes five tries, whatever the deadline (gRFC A6); after them this begins anew.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any, Final

import grpc
import grpc.aio

from lienthong.client.service_config import repeatable

_PASSES: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
"""Something is away. A deadline that passed while the caller's has not is one of those behind the gateway."""
_PAUSE_S: Final = (0.5, 1.5)


class _Tries:
    """The tries of one call."""

    def __init__(self, details: Any, deadline_s: float, repeatable: bool) -> None:
        shorter_s = deadline_s if details.timeout is None else details.timeout
        self._ends_at = time.monotonic() + min(shorter_s, deadline_s)
        self._details = details
        self._passes = _PASSES if repeatable else frozenset()

    def next(self) -> Any:
        """Details of the next one, which ends when the call must."""
        return self._details._replace(timeout=max(0.0, self._ends_at - time.monotonic()))

    def pause_s(self, code: grpc.StatusCode) -> float | None:
        """How long to wait before the next one, after one that ended so; ``None`` where there is to be none."""
        pause_s = random.uniform(*_PAUSE_S)
        return pause_s if code in self._passes and time.monotonic() + pause_s < self._ends_at else None


class Patience(grpc.UnaryUnaryClientInterceptor):
    """For calls that block. A future is its holder's to wait for: it gets the tries gRPC makes."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s

    def intercept_unary_unary(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        """Calls until it is answered, refused or too late."""
        tries = _Tries(details, self._deadline_s, repeatable(details.method))
        while True:
            call = continuation(tries.next(), request)
            if not call.done() or (pause_s := tries.pause_s(call.code())) is None:
                return call
            time.sleep(pause_s)


class AsyncPatience(grpc.aio.UnaryUnaryClientInterceptor):
    """For calls that are awaited."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s

    async def intercept_unary_unary(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        """Calls until it is answered, refused or too late."""
        tries = _Tries(details, self._deadline_s, repeatable(details.method.decode()))
        while True:
            call = await continuation(tries.next(), request)
            try:
                code = await call.code()
            except asyncio.CancelledError:
                call.cancel()  # waiting for its code does not do that
                raise
            if (pause_s := tries.pause_s(code)) is None:
                return call
            await asyncio.sleep(pause_s)
