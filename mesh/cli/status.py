"""`lienthong status`: how far every log, subscription and agreement of every locality has come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Annotated, Final

import typer
from rich.live import Live

from lienthong.mesh import v1
from mesh.cli import status_shown
from mesh.cli.agreement_state import held_at
from mesh.cli.options import AsJson, DataDir, OneLocality
from mesh.cli.output import out, print_json
from mesh.cli.running import RunningMesh, with_mesh
from mesh.cli.status_shown import MeshStatus, ServiceStatus
from mesh.errors import MeshError

_EVERY_S: Final = 1.0
_ANSWERS_WITHIN_S: Final = 5.0


def status(
    locality: OneLocality = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every second until Ctrl-C.")] = False,
    data: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show lag, age, parked lines, dead letters, relay position, agreements and their freshness.

    `lag` counts events of a subscription's lines that no mark covers yet; `age` is how long it has been behind. `held`
    events wait behind a dead letter. An agreement is `level` when nothing is on its way.

    Example: lienthong status --locality hue --watch
    """
    with_mesh(data, lambda mesh: _watch(mesh, locality, as_json) if watch else _once(mesh, locality, as_json))


async def _once(mesh: RunningMesh, locality: str | None, as_json: bool) -> None:
    found = await ask(mesh, mesh.chosen(locality))
    if as_json:
        print_json(status_shown.as_json(found))
    else:
        out.print(status_shown.shown(found))


async def _watch(mesh: RunningMesh, locality: str | None, as_json: bool) -> None:
    chosen = mesh.chosen(locality)
    with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C is how it ends
        while as_json:
            print_json(status_shown.as_json(await ask(mesh, chosen)), one_line=True)
            await asyncio.sleep(_EVERY_S)
        await _watch_live(mesh, chosen)


async def _watch_live(mesh: RunningMesh, chosen: Iterable[str]) -> None:
    with Live(console=out, auto_refresh=False, screen=out.is_terminal, vertical_overflow="crop") as live:
        while True:
            live.update(status_shown.shown(await ask(mesh, chosen)), refresh=True)
            await asyncio.sleep(_EVERY_S)


async def ask(mesh: RunningMesh, localities: Iterable[str]) -> MeshStatus:
    """Asks every service; a locality that does not answer is noted and holds up nobody."""
    found = MeshStatus([], [], {})
    await asyncio.gather(*(_ask_locality(mesh, slug, found) for slug in localities))
    found.services.sort(key=lambda one: (mesh.localities.index(one.locality), one.service))
    return found


async def _ask_locality(mesh: RunningMesh, slug: str, found: MeshStatus) -> None:
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN_S):
            for name in await mesh.services(slug):
                answer = await mesh.ask(slug, "GetStatus", v1.GetStatusRequest(service=name))
                found.services.append(ServiceStatus(slug, name, answer))
            found.agreements.extend((slug, agreement) for agreement in await held_at(mesh, slug))
    except (MeshError, TimeoutError) as error:
        found.silent[slug] = str(error) or "no answer in time"
