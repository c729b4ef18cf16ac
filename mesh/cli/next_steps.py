"""What to try in a mesh that is up: commands to copy."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

_DEFAULT_FOLDER = ".lienthong"


def next_steps(
    localities: Sequence[str], folder: Path, journeys: Path | None = None, edge: str | None = None
) -> RenderableType:
    """A few commands with what they show; in another terminal, in this folder.

    `journeys` were walked already; `edge` is the URL by which outsiders reach the first locality.
    """
    here = localities[0]
    there = localities[1] if len(localities) > 1 else here
    data = "" if folder == Path(_DEFAULT_FOLDER).resolve() else f" --data {_as_typed(folder)}"
    request = json.dumps({"page_size": 3})
    steps = [
        ("lienthong status" + data, "how far every line has come"),
        (f"lienthong events tail --locality {there}" + data, "what reaches one locality"),
        (f"lienthong call {here} environment.ListStations '{request}'" + data, "ask a service"),
        (f"lienthong call {there} health.ListAdvisories" + data, "the effect across the border"),
        *([(f"lienthong journeys {_as_typed(journeys)}" + data, "walk the journeys again")] if journeys else []),
        ("lienthong agreements list" + data, "why it may cross"),
        ("lienthong verify" + data, "count everything again"),
    ]
    if not data:
        steps.append(
            (f"lienthong serve examples.subscriber:Neighbour --locality {there}", "join with a service of your own")
        )
    typed = _as_typed_here()
    steps = [(command.replace("lienthong", typed, 1), what) for command, what in steps]
    width = max(len(command) for command, _ in steps)
    lines = [Text.assemble("  ", (f"{command:<{width}}", "bold"), ("   " + what, "dim")) for command, what in steps]
    return Group(
        "", Text("It stays up; Ctrl-C stops it. In another terminal try:"), *lines, *_outside(here, folder, edge), ""
    )


def _outside(locality: str, folder: Path, edge: str | None) -> list[Text]:
    """How an outsider would ask: whoever has the address, the authority to believe and a token."""
    if edge is None:
        return []
    token = f"{_as_typed_here()} token --subject me --scope environment.read --locality {locality}"
    data = "" if folder == Path(_DEFAULT_FOLDER).resolve() else f" --data {_as_typed(folder)}"
    command = (
        f'curl --cacert {_as_typed(folder)}/credentials/ca.pem -H "authorization: Bearer $({token}{data})"'
        f" '{edge}/environment/v1/stations?pageSize=3'"
    )
    return [
        Text(f"From outside, {locality} is {edge}; its documentation is {edge}/docs:"),
        Text.assemble("  ", (command, "bold")),
    ]


def _as_typed_here() -> str:
    """`lienthong`, or where it lies when the shell would not find it."""
    program = Path(sys.argv[0])
    return "lienthong" if shutil.which("lienthong") or program.name != "lienthong" else _as_typed(program.absolute())


def _as_typed(folder: Path) -> str:
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
