"""Ctrl-C and SIGTERM: the work is cancelled and ends in order; pressed again later, it ends without waiting."""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

_ONE_PRESS_S: Final = 1.0
"""Signals so close to each other are one: a terminal and a shell may both send it."""


def run_interruptibly(work: Coroutine[Any, Any, T]) -> T:
    """Runs it to its end. Raises KeyboardInterrupt when it was told to stop, unless it ended well all the same."""

    async def run() -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)
        told_at = -math.inf

        def tell() -> None:
            nonlocal told_at
            if loop.time() - told_at > _ONE_PRESS_S:
                told_at = loop.time()
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, tell)
        return await task

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
