"""`lienthong replay`: feeds a file of observations to the running mesh."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mesh.cli.congestion_file import CONGESTION
from mesh.cli.exits import UsageError
from mesh.cli.feed import Tally
from mesh.cli.options import AsJson, DataDir
from mesh.cli.output import duration, out, people, print_json, rate
from mesh.cli.progress import metered
from mesh.cli.readings_file import READINGS
from mesh.cli.replaying import RejectedRows, Replay
from mesh.cli.report import rows_table
from mesh.cli.rows_file import RowsFile
from mesh.cli.running import RunningMesh, with_mesh

Speed = Annotated[
    str,
    typer.Option(
        metavar="max|N", help="As fast as it goes, or N times as fast as it was observed (3600: an hour in a second)."
    ),
]


class Rows(StrEnum):
    """What the rows of a file are."""

    READINGS = "readings"
    CONGESTION = "congestion"


KINDS = {Rows.READINGS: READINGS, Rows.CONGESTION: CONGESTION}


def replay(
    file: Annotated[Path, typer.Argument(help="CSV, gzipped or not, one observation a row.")],
    locality: Annotated[
        list[str] | None, typer.Option(metavar="SLUG", help="Only rows of this locality; may be repeated.")
    ] = None,
    speed: Speed = "max",
    kind: Annotated[Rows, typer.Option(help="What the rows are.")] = Rows.READINGS,
    data: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Replay a file of observations into the running mesh: air-quality readings, or congestion of roads.

    Stations are registered first. Rows that are not kept go to FILE.rejected.csv in the mesh's folder, with the reason.
    What breaks on the way is waited for; nothing counts twice.

    Example: lienthong replay readings.csv.gz --speed 3600
    """
    times = parse_speed(speed)
    with RowsFile(file, KINDS[kind]) as rows:
        with_mesh(data, lambda mesh: _replay(mesh, rows, kind, locality, times, as_json))


def parse_speed(text: str) -> float | None:
    """How many times faster than observed; None is as fast as it goes. Raises UsageError."""
    if text == "max":
        return None
    try:
        times = float(text)
    except ValueError:
        times = 0.0
    if not 0 < times < float("inf"):
        raise UsageError(f"--speed: expected max or a number above 0, not {text}")
    return times


async def _replay(
    mesh: RunningMesh,
    file: RowsFile,
    rows: Rows,
    localities: list[str] | None,
    speed: float | None,
    as_json: bool,
) -> None:
    chosen = [slug for one in localities for slug in mesh.chosen(one)] if localities else list(mesh.localities)
    tallies: dict[str, Tally] = {}
    began = time.monotonic()
    rejected = RejectedRows(rejected_file(mesh, file.path), file.kind)
    skipped = await feed_file(mesh, file, chosen, speed, tallies, rejected, people(as_json=as_json))
    seconds = time.monotonic() - began
    if as_json:
        came = {slug: {rows.value: tally.as_json()} for slug, tally in tallies.items()}
        print_json({"localities": came, "skipped_rows": skipped, "seconds": round(seconds, 3)})
        return
    out.print(rows_table(rows.value, tallies))
    done = sum(tally.done for tally in tallies.values())
    out.print(f"{done:,} rows in {duration(seconds)} ({rate(done, seconds)}), {skipped:,} of other localities skipped")
    if rejected.count:
        out.print(f"Rejected rows with their reasons: {rejected.path}")


async def feed_file(
    mesh: RunningMesh,
    file: RowsFile,
    localities: list[str],
    speed: float | None,
    tallies: dict[str, Tally],
    rejected: RejectedRows,
    console: Console,
) -> int:
    """Replays one file with its progress shown; returns how many rows belong to other localities."""
    async with Replay(mesh, file.kind, localities, speed=speed, tallies=tallies, rejected=rejected) as replay:
        with metered(f"replaying {file.path.name}", console) as meter:
            await replay.run(file, lambda: meter.show(replay.done, file.progress()))
    return replay.skipped


def rejected_file(mesh: RunningMesh, file: Path) -> Path:
    """Where the rows of a file that were not kept are written: the folder of the mesh."""
    return mesh.folder / f"{file.name}.rejected.csv"
