"""Our own log while the terminal shows other things: kept in memory until there is a file for it."""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mesh.json_logs import JsonFormatter

_CAPACITY: Final = 10_000


@contextmanager
def own_log() -> Iterator[Callable[[Path], None]]:
    """Keeps log records off the terminal; what it yields names the file that takes them from then on."""
    root = logging.getLogger()
    before = root.handlers[:]
    memory = logging.handlers.MemoryHandler(_CAPACITY, flushLevel=logging.CRITICAL + 1)
    root.handlers[:] = [memory]
    root.setLevel(logging.INFO)
    for talkative in ("grpc", "asyncio"):
        logging.getLogger(talkative).setLevel(logging.WARNING)

    def write_to(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(path, encoding="utf-8")
        file.setFormatter(JsonFormatter())
        memory.setTarget(file)
        memory.flush()
        root.handlers[:] = [file]

    try:
        yield write_to
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = before
