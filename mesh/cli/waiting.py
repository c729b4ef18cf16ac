"""Says what is waited for: in place on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console

Say = Callable[[str], None]

_LINE_EVERY_S: Final = 10.0
_NAMED: Final = 3


@contextmanager
def waiting(console: Console, what: str) -> Iterator[Say]:
    """Shows `what`, and whatever is said while the context lasts."""
    if console.is_terminal:
        with console.status(what) as status:
            yield status.update
        return
    said_at = time.monotonic()

    def say(text: str) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= _LINE_EVERY_S:
            said_at = time.monotonic()
            console.print(text)

    yield say


def named(owed: dict[str, int]) -> str:
    """The largest few of what is owed."""
    largest = sorted(owed.items(), key=lambda item: -item[1])[:_NAMED]
    return ", ".join(f"{what} ({count:,})" for what, count in largest) or "nothing"
