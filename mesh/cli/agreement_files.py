"""Agreements from files. How they are written is the exchange's affair; it is found by entry point."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from lienthong.exchange.v1 import Agreement
from mesh.cli.exits import UsageError
from mesh.errors import InvalidArgument

GROUP: Final = "lienthong.agreements"


def bundled() -> list[Agreement]:
    """The agreements that come with the installed exchange; none without one."""
    try:
        found: list[Agreement] = _function("bundled")()
    except UsageError:
        return []
    return found


def read(path: Path) -> list[Agreement]:
    """The agreements of a YAML file, or of a folder of them. Raises UsageError naming what is wrong, and where."""
    try:
        found: list[Agreement] = _function("read")(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except InvalidArgument as error:
        raise UsageError(str(error)) from None
    return found


def _function(name: str) -> Callable[..., Any]:
    for point in entry_points(group=GROUP, name=name):
        loaded: Callable[..., Any] = point.load()
        return loaded
    raise UsageError(f"nothing installed reads agreements: no entry point {name} in {GROUP}")
