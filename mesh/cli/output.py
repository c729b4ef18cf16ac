"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TextIO

from rich.console import Console
from rich.table import Table

from mesh.localities import of_slug

_WIDTH_IN_A_PIPE: Final = 160
"""Columns where there is no terminal to ask; nothing is cut short for the program that reads it."""


def _width(stream: TextIO) -> int | None:
    return None if stream.isatty() or "COLUMNS" in os.environ else _WIDTH_IN_A_PIPE


out = Console(highlight=False, width=_width(sys.stdout))
err = Console(stderr=True, highlight=False, width=_width(sys.stderr))


def people(*, as_json: bool = False) -> Console:
    """Where progress and events are shown, so that what is written to a file or a pipe is the result alone."""
    return out if out.is_terminal and not as_json else err


def print_json(data: Any, *, one_line: bool = False) -> None:
    """Prints JSON on standard output; `one_line` for one value of many."""
    json.dump(data, sys.stdout, ensure_ascii=False, indent=None if one_line else 2)
    sys.stdout.write("\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", empty: str = "") -> None:
    """Prints a table; a column named `>x` is a right-aligned `x`. Without rows it prints `empty`."""
    shown = list(rows)
    if not shown:
        out.print(empty, style="dim")
        return
    out.print(table(columns, shown, title=title))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> Table:
    """A table without frames; a column named `>x` is a right-aligned `x`."""
    made = Table(
        title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for name in columns:
        right = name.startswith(">")
        justify: Literal["left", "right"] = "right" if right else "left"
        made.add_column(name.removeprefix(">"), justify=justify, header_style="dim", no_wrap=right, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def duration(seconds: float | None) -> str:
    """A duration for people: `0.4 s`, `12 s`, `3 min`, `2.5 h`, `4 d`."""
    if seconds is None:
        return "–"
    for limit, divisor, form in (
        (10, 1, "{:.1f} s"),
        (120, 1, "{:.0f} s"),
        (7200, 60, "{:.0f} min"),
        (172_800, 3600, "{:.1f} h"),
    ):
        if seconds < limit:
            return form.format(seconds / divisor)
    return f"{seconds / 86400:.0f} d"


def rate(count: int, seconds: float) -> str:
    """A rate for people."""
    return f"{count / seconds:,.0f}/s" if seconds > 0 else "–"


def clock(moment: datetime) -> str:
    """Time of day where the operator sits."""
    return moment.astimezone().strftime("%H:%M:%S")


def name_of(slug: str) -> str:
    """Name of a locality for people: `Đà Nẵng`."""
    try:
        return of_slug(slug).name
    except KeyError:
        return slug


def short(type_name: str) -> str:
    """Last part of a full message name."""
    return type_name.rpartition(".")[2]
