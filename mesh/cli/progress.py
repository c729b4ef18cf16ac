"""Progress of a replay: rows, rate and time left; a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskProgressColumn, TextColumn
from rich.text import Text

from mesh.cli.output import duration, rate

_LINE_EVERY_S: Final = 5.0


class Meter(Protocol):
    """What is shown while it goes on."""

    def show(self, done: int, fraction: float) -> None:
        """Rows done so far, and which part of the whole that is, as far as known."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.fields.get("rate", ""), style="progress.data.speed")


@contextmanager
def metered(what: str, console: Console) -> Iterator[Meter]:
    """Shows progress; whatever else is printed meanwhile must go to the same console."""
    if not console.is_terminal:
        yield _Lines(what, console)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(None), TaskProgressColumn(), _Rate())
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bar(progress, what)


class _Clocked:
    def __init__(self) -> None:
        self._began = time.monotonic()

    def _told(self, done: int, fraction: float) -> str:
        seconds = time.monotonic() - self._began
        known = seconds > 1 and 0.01 < fraction < 1
        left = f", {duration(seconds * (1 - fraction) / fraction)} left" if known else ""
        return f"{done:,} rows, {rate(done, seconds)}{left}"


class _Bar(_Clocked):
    def __init__(self, progress: Progress, what: str) -> None:
        super().__init__()
        self._progress = progress
        self._task = progress.add_task(what, total=1.0, rate="")
        self._shown_at = 0.0

    def show(self, done: int, fraction: float) -> None:
        now = time.monotonic()
        if now - self._shown_at > 0.1 or fraction >= 1:
            self._shown_at = now
            self._progress.update(self._task, completed=fraction, rate=self._told(done, fraction))


class _Lines(_Clocked):
    def __init__(self, what: str, console: Console) -> None:
        super().__init__()
        self._what = what
        self._console = console
        self._shown_at = time.monotonic()

    def show(self, done: int, fraction: float) -> None:
        now = time.monotonic()
        if now - self._shown_at > _LINE_EVERY_S:
            self._shown_at = now
            self._console.print(f"{self._what}: {fraction:.0%}, {self._told(done, fraction)}")
