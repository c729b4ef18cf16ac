"""`lienthong events`: watches events go by, and tells the story of one."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated

import typer

from mesh.cli import story
from mesh.cli.event_lines import event_json, event_line
from mesh.cli.options import AsJson, DataDir, OneLocality
from mesh.cli.output import err, out, print_json, short
from mesh.cli.running import RunningMesh, with_mesh
from mesh.cli.tailing import Tail

events = typer.Typer(help="Watch events go by, and tell the story of one.", no_args_is_help=True)


@events.command()
def tail(
    locality: OneLocality = None,
    kind: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Only this type, short or full: AirQualityAlertRaised.")
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="Only what is about this key.")] = None,
    count: Annotated[int | None, typer.Option("-n", "--count", min=1, help="End after so many events.")] = None,
    data: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show events of running localities as they are published, until Ctrl-C.

    `da-nang → hue` is an event of Da Nang seen in Huế, across the border. With --json one object a line.

    Example: lienthong events tail --locality hue --type AirQualityAlertRaised
    """
    with_mesh(data, lambda mesh: _tail(mesh, locality, kind, key, count, as_json))


@events.command()
def show(
    id: Annotated[
        str, typer.Argument(metavar="ID", help="The event's ce-id, or its beginning or end, if only one has it.")
    ],
    data: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Tell what an event says, where it went, and what it brought about in every locality.

    Example: lienthong events show 9f1d9e
    """
    told = with_mesh(data, lambda mesh: story.of(mesh, id))
    if as_json:
        print_json(told.as_json())
    else:
        out.print(told.shown())


async def _tail(
    mesh: RunningMesh, locality: str | None, kind: str | None, key: str | None, count: int | None, as_json: bool
) -> None:
    tail = Tail(mesh, mesh.chosen(locality))
    await tail.start()
    err.print("waiting for events; Ctrl-C ends", style="dim")
    shown = 0
    with contextlib.suppress(asyncio.CancelledError):
        async for seen in tail:
            event = seen.event
            if (kind and kind not in (event.type, short(event.type))) or (key and key != event.key):
                continue
            if as_json:
                print_json(event_json(event, seen.locality), one_line=True)
            else:
                out.print(event_line(event, seen.locality), no_wrap=True, overflow="ellipsis")
            shown += 1
            if shown == count:
                return
