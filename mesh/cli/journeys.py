"""`lienthong journeys`: walks stories across sectors and localities, and shows what comes of each step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mesh.cli.exits import Exit, UsageError
from mesh.cli.journeys_file import Journeys, read_journeys
from mesh.cli.journeys_shown import journey_json, shown
from mesh.cli.journeys_walk import put_roads, walk
from mesh.cli.journeys_walked import WalkedJourney
from mesh.cli.options import AsJson, DataDir
from mesh.cli.output import out, people, print_json
from mesh.cli.running import RunningMesh, with_mesh
from mesh.cli.tailing import Tail
from mesh.cli.waiting import waiting


def journeys(
    file: Annotated[Path, typer.Argument(help="YAML, as examples/journeys.yaml.")],
    data: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Walk the journeys of a file in the running mesh, and show what comes of each step: where, how soon, what stands.

    Each can be walked again. Journeys whose localities do not run are left out. The exit code is 0 only if all came
    of them that the file says must.

    Example: lienthong journeys examples/journeys.yaml
    """
    read = read_journeys(file)
    gone = with_mesh(data, lambda mesh: _walk(mesh, read, as_json))
    if as_json:
        print_json([journey_json(one) for one in gone])
    if all(one.absent for one in gone):
        raise UsageError(f"none of these journeys was walked: the localities they need do not run here ({file})")
    raise typer.Exit(Exit.OK if all(one.met for one in gone) else Exit.FOUND)


async def _walk(mesh: RunningMesh, read: Journeys, as_json: bool) -> list[WalkedJourney]:
    return await walk_all(mesh, read, people(as_json=as_json), as_json=as_json)


async def walk_all(mesh: RunningMesh, read: Journeys, console: Console, *, as_json: bool) -> list[WalkedJourney]:
    """Walks one after the other, and prints each as it is done. Raises MeshError when the mesh does not answer."""
    tail = Tail(mesh, mesh.localities)
    await tail.start()
    gone = []
    try:
        await put_roads(mesh, read.roads)
        for journey in read.journeys:
            with waiting(console, journey.title):
                gone.append(await walk(mesh, tail, journey))
            if not as_json:
                out.print()
                out.print(shown(gone[-1]))
    finally:
        await tail.stop()
    return gone
