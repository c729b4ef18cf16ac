"""`lienthong verify`: recounts log, stream, marks and effects, naming every hole and double."""

from __future__ import annotations

from collections import Counter

import typer

from mesh.cli import snapshot, stream_check
from mesh.cli.exits import Exit
from mesh.cli.options import AsJson, DataDir
from mesh.cli.output import err, out, print_json, print_table
from mesh.cli.recount import HARMLESS, Finding, Recount, recount
from mesh.cli.running import RunningMesh, with_mesh

_SHOWN = 50


def verify(data: DataDir = None, as_json: AsJson = False) -> None:
    """Recount every event: log ↔ stream ↔ marks ↔ effects, naming every hole and every double.

    Exit code 0: nothing lost, doubled or dead; 1: something is, and is named. The mesh may go on meanwhile; events on
    their way are no fault.

    Example: lienthong verify && echo sound
    """
    counted = with_mesh(data, _recounted)
    if as_json:
        print_json(_as_json(counted))
    else:
        show(counted)
    if counted.wrong:
        raise typer.Exit(Exit.FOUND)


async def _recounted(mesh: RunningMesh) -> Recount:
    with err.status("reading logs, marks and effects"):
        taken = await snapshot.take(mesh)
    with err.status("reading streams"):
        in_streams = await stream_check.compare(mesh, taken)
    counted = recount(taken)
    return Recount(counted.logged, counted.published, counted.handled, [*counted.findings, *in_streams])


def show(counted: Recount) -> None:
    """Prints a recount for people."""
    out.print(
        f"{counted.logged:,} events logged, {counted.published:,} published, {counted.handled:,} handled; "
        f"lost {counted.lost - _waiting(counted)}, doubled {counted.doubled}, dead {counted.dead}"
    )
    if waiting := _waiting(counted):
        out.print(f"{waiting:,} on their way", style="dim")
    if not counted.wrong:
        out.print("Nothing lost, nothing doubled.", style="green")
        return
    shown = counted.wrong[:_SHOWN]
    print_table(["what", "locality", "subscription or stream", "line", ">sequence", "detail"], map(_row, shown))
    if len(counted.wrong) > _SHOWN:
        out.print(f"… and {len(counted.wrong) - _SHOWN:,} more; all of them with --json", style="dim")


def _waiting(counted: Recount) -> int:
    return len(counted.of(*HARMLESS))


def _row(finding: Finding) -> list[str]:
    return [
        f"[red]{finding.kind}[/red]",
        finding.locality,
        finding.subscription,
        finding.line,
        str(finding.sequence),
        finding.detail,
    ]


def _as_json(counted: Recount) -> dict[str, object]:
    return {
        "logged": counted.logged,
        "published": counted.published,
        "handled": counted.handled,
        "lost": counted.lost - _waiting(counted),
        "doubled": counted.doubled,
        "dead": counted.dead,
        "found": dict(Counter(finding.kind.value for finding in counted.findings)),
        "findings": [finding.as_json() for finding in counted.wrong],
    }
