"""The data folder of the embedded default: marked as ours, used by one stack at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from mesh.errors import ConfigurationError

MARKER = ".lienthong-data"
_LOCK = "lock"
_MARKER_TEXT = "Data of `lienthong up`. `lienthong up --fresh` deletes everything in this folder.\n"


class DataFolder:
    """A folder that `lienthong up` may write to, locked while the context lasts."""

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        """`fresh` empties it, which is refused for a folder that no earlier run marked as its own."""
        self.path = path.resolve()
        self._fresh = fresh
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Raises ConfigurationError when the folder is somebody else's or in use."""
        self._claim()
        self._lock = self._take_lock()
        if self._fresh:
            self._empty()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _claim(self) -> None:
        """Marks an empty or new folder. One with content and no mark is not touched: a later `fresh` would empty it."""
        if self.path.exists() and not self.path.is_dir():
            raise ConfigurationError(f"{self.path} is not a folder; name another with --data DIR")
        self.path.mkdir(parents=True, exist_ok=True)
        if (self.path / MARKER).exists():
            return
        if any(self.path.iterdir()):
            raise ConfigurationError(
                f"{self.path} holds files that no earlier run of `lienthong up` wrote, so it is left alone;"
                " name an empty or new folder with --data DIR"
            )
        (self.path / MARKER).write_text(_MARKER_TEXT)

    def _take_lock(self) -> int:
        lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise ConfigurationError(
                f"{self.path} is in use by a running `lienthong up`; stop that one, or name another folder with --data"
            ) from None
        return lock

    def _empty(self) -> None:
        for entry in self.path.iterdir():
            if entry.name in (MARKER, _LOCK):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
