"""A file that is read again when somebody has replaced it, so that keys change without a restart."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from mesh.errors import ConfigurationError

T = TypeVar("T")

_logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
"""Asking the file system takes 2 µs, and this is asked for every call."""


class WatchedFile(Generic[T]):
    """What a file holds. One that cannot be read any more changes nothing, and is complained of in the log."""

    def __init__(self, file: Path, read: Callable[[Path], T], *, now: Callable[[], float] = time.monotonic) -> None:
        """`read` raises ConfigurationError, and so does this."""
        self.file = file
        self._read = read
        self._now = now
        self._seen = self._sight()
        self._value = read(file)
        self._look_at = now() + _LOOK_EVERY_S

    def __call__(self) -> T:
        """What the file holds, as of a second ago at most."""
        return self.look() if self._now() >= self._look_at else self._value

    def look(self) -> T:
        """What the file holds now."""
        self._look_at = self._now() + _LOOK_EVERY_S
        sight = self._sight()
        if sight != self._seen:
            try:
                self._value = self._read(self.file)
            except ConfigurationError as error:
                _logger.warning("%s; what it held before stays in force", error)
            self._seen = sight
        return self._value

    def _sight(self) -> tuple[int, ...]:
        """What differs once the file is another; taken before it is read, so a change meanwhile is seen next time."""
        try:
            found = self.file.stat()
        except OSError:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size
