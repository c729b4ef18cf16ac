"""Ends tasks for good."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_AFTER_S = 0.2


async def end(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Cancels tasks and returns when they have ended, whatever they end with.

    A cancellation that meets `asyncio.wait_for` just as what it waits for is done gets lost before Python 3.12
    (https://github.com/python/cpython/issues/86296), and nats-py waits like that: so they are cancelled until they end.
    """
    left = {task for task in tasks if task is not None}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_AFTER_S)
