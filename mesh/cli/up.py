"""`lienthong up`: a mesh on this machine, from nothing."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from mesh import localities as known
from mesh.cli.exits import Exit, UsageError
from mesh.cli.interrupts import run_interruptibly
from mesh.cli.journeys_file import read_journeys
from mesh.cli.options import AsJson
from mesh.cli.readings_file import READINGS
from mesh.cli.replay import Speed, parse_speed
from mesh.cli.rows_file import RowsFile
from mesh.cli.run import Run
from mesh.config import load

DEFAULT_LOCALITIES: Final = "da-nang,hue,ha-noi,quang-ninh"


def up(
    localities: Annotated[
        str, typer.Option(metavar="A,B,…", help="Slugs of the localities to run.")
    ] = DEFAULT_LOCALITIES,
    replay: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Replay a file of readings; may be repeated.")
    ] = None,
    speed: Speed = "max",
    journeys: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Walk the journeys of a file after the replay.")
    ] = None,
    exit_: Annotated[
        bool, typer.Option("--exit", help="Wait until all is caught up, close all hours, print the report and end.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for data, logs and keys; default: .lienthong.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin with an empty folder.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a mesh on this machine: servers, every service of some localities, agreements between them.

    It stays up until Ctrl-C, and goes on with its data the next time. With --exit the exit code is 0 only if nothing
    was lost, doubled or dead-lettered, and everything came of the journeys that must.

    Example: lienthong up --localities da-nang,hue --replay readings.csv.gz --exit --json
    """
    slugs = _slugs(localities)
    read = read_journeys(journeys) if journeys else None
    settings = load() if data is None else load(data_dir=data)
    with ExitStack() as opened:
        files = [opened.enter_context(RowsFile(path, READINGS)) for path in replay or []]
        run = Run(slugs, files, parse_speed(speed), settings.data_dir, fresh, exit_, as_json, read)
        try:
            code = run_interruptibly(run.through())
        except KeyboardInterrupt:
            code = Exit.OK if run.stays else Exit.INTERRUPTED
    raise typer.Exit(code)


def _slugs(text: str) -> list[str]:
    slugs = list(dict.fromkeys(slug.strip() for slug in text.split(",") if slug.strip()))
    unknown = [slug for slug in slugs if slug not in known.slugs()]
    if unknown or not slugs:
        raise UsageError(f"--localities: no locality {', '.join(unknown) or 'named'}; slugs look like da-nang,hue")
    return slugs
