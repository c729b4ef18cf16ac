"""`lienthong dead-letters`: events a subscription gave up, and those of the same key that wait behind them."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from datetime import UTC
from typing import Annotated, Any

import typer

from lienthong.mesh import v1
from mesh.cli import snapshot
from mesh.cli.event_lines import event_json
from mesh.cli.exits import Exit, UsageError
from mesh.cli.options import AsJson, DataDir, OneLocality
from mesh.cli.output import out, print_json, print_table, short, table
from mesh.cli.running import RunningMesh, with_mesh
from mesh.errors import MeshError, NotFound
from mesh.events import from_headers

dead_letters = typer.Typer(
    help="Events a subscription gave up, and those of the same key that wait behind them.", no_args_is_help=True
)

_SETTLED_WITHIN_S = 10.0

LetterId = Annotated[str, typer.Argument(metavar="ID", help="As `dead-letters list` shows it; quote it.")]


@dataclass(frozen=True, slots=True)
class Found:
    """A letter and where it lies."""

    locality: str
    service: str
    letter: v1.DeadLetter

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        letter = self.letter
        return {
            "locality": self.locality,
            "service": self.service,
            "id": letter.id,
            "subscription": letter.subscription,
            "line": letter.line,
            "sequence": letter.sequence,
            "last_sequence": letter.last_sequence,
            "key": letter.key,
            "type": letter.type,
            "state": self.state,
            "attempts": letter.attempts,
            "error": letter.error,
            "at": letter.at.ToDatetime(UTC).isoformat(),
        }

    @property
    def state(self) -> str:
        """`DEAD`, `WAITING`, `RETRY` or `DROP`."""
        return v1.DeadLetterState.Name(self.letter.state).removeprefix("DEAD_LETTER_STATE_")


@dead_letters.command("list")
def list_(locality: OneLocality = None, data: DataDir = None, as_json: AsJson = False) -> None:
    """List dead letters of every service, oldest line first.

    Example: lienthong dead-letters list --locality hue
    """
    found = with_mesh(data, lambda mesh: _all(mesh, locality))
    if as_json:
        print_json([one.as_json() for one in found])
        return
    rows = [
        [
            one.locality,
            one.letter.id,
            short(one.letter.type) or "–",
            one.letter.key or "–",
            one.state,
            str(one.letter.attempts),
            one.letter.error,
        ]
        for one in found
    ]
    print_table(["locality", "id", "type", "key", "state", ">tries", "error"], rows, empty="No dead letters.")


@dead_letters.command()
def show(id: LetterId, locality: OneLocality = None, data: DataDir = None, as_json: AsJson = False) -> None:
    """Show one letter, and the event as its log still holds it.

    Example: lienthong dead-letters show 'health.air_quality_alert.any|da-nang/environment/air_quality_alert/3|17'
    """
    one, event = with_mesh(data, lambda mesh: _with_event(mesh, id, locality))
    if as_json:
        print_json({**one.as_json(), "event": event})
        return
    out.print(table(["field", "value"], [[name, str(value)] for name, value in one.as_json().items()]))
    if event is None:
        out.print("\nNo log that can be reached holds the event any more.", style="dim")
    else:
        out.print()
        out.print(table(["event", "value"], [[name, str(value)] for name, value in event.items()]))


@dead_letters.command()
def retry(
    id: Annotated[str | None, typer.Argument(metavar="ID", help="As `list` shows it; quote it.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead letter instead of one.")] = False,
    locality: OneLocality = None,
    data: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run a letter again, and in order what waits behind it; each effect is committed with its letter's removal.

    Exit code 1 when it failed again.

    Example: lienthong dead-letters retry --all
    """
    if (id is None) != every:
        raise UsageError("name one ID, or --all")
    _ended(with_mesh(data, lambda mesh: _ask(mesh, "RetryDeadLetter", id, locality)), "retried", as_json)


@dead_letters.command()
def drop(id: LetterId, locality: OneLocality = None, data: DataDir = None, as_json: AsJson = False) -> None:
    """Give a letter up for good and release what waits behind it. The event will never have its effect.

    Example: lienthong dead-letters drop 'health.air_quality_alert.any|da-nang/environment/air_quality_alert/3|17'
    """
    _ended(with_mesh(data, lambda mesh: _ask(mesh, "DropDeadLetter", id, locality)), "dropped", as_json)


async def _all(mesh: RunningMesh, locality: str | None) -> list[Found]:
    places = [(slug, name) for slug in mesh.chosen(locality) for name in await mesh.services(slug)]
    letters = await asyncio.gather(*(snapshot.dead_letters(mesh, slug, name) for slug, name in places))
    return [Found(slug, name, letter) for (slug, name), found in zip(places, letters, strict=True) for letter in found]


async def _one(mesh: RunningMesh, id: str, locality: str | None) -> Found:
    found = [one for one in await _all(mesh, locality) if one.letter.id == id]
    if not found:
        raise NotFound("dead letter", id)
    if len(found) > 1:
        raise UsageError(f"{', '.join(one.locality for one in found)} have this letter: add --locality")
    return found[0]


async def _with_event(mesh: RunningMesh, id: str, locality: str | None) -> tuple[Found, dict[str, Any] | None]:
    one = await _one(mesh, id, locality)
    for slug in mesh.localities:
        for name in await mesh.services(slug):
            status = await mesh.ask(slug, "GetStatus", v1.GetStatusRequest(service=name))
            for log in status.logs:
                request = v1.ReadLogRequest(
                    service=name, log=log.log, line=one.letter.line, after_sequence=one.letter.sequence - 1, limit=1
                )
                entries = await snapshot.log_entries(mesh, slug, request)
                if entries and entries[0].sequence == one.letter.sequence:
                    return one, _event(entries[0], slug)
    return one, None


def _event(entry: v1.LogEntry, locality: str) -> dict[str, Any]:
    try:
        return event_json(from_headers(dict(entry.headers), entry.data), locality)
    except MeshError as error:
        return {"error": str(error), **dict(entry.headers), "data": base64.b64encode(entry.data).decode()}


async def _ask(mesh: RunningMesh, method: str, id: str | None, locality: str | None) -> list[tuple[Found, str]]:
    """Asks for every letter meant, and waits until its line's holder has acted. Returns what became of each."""
    asked = await _every_dead(mesh, locality) if id is None else [await _one(mesh, id, locality)]
    request = v1.RetryDeadLetterRequest if method == "RetryDeadLetter" else v1.DropDeadLetterRequest
    for one in asked:
        await mesh.ask(one.locality, method, request(service=one.service, id=one.letter.id))
    return [(one, await _outcome(mesh, one)) for one in asked]


async def _every_dead(mesh: RunningMesh, locality: str | None) -> list[Found]:
    """Letters that can be asked for; those behind them follow by themselves."""
    return [one for one in await _all(mesh, locality) if one.letter.state != v1.DEAD_LETTER_STATE_WAITING]


async def _outcome(mesh: RunningMesh, one: Found) -> str:
    """What became of a letter: gone, failed again, or still waited for."""
    ends = asyncio.get_running_loop().time() + _SETTLED_WITHIN_S
    while asyncio.get_running_loop().time() < ends:
        now = {letter.id: letter for letter in await snapshot.dead_letters(mesh, one.locality, one.service)}
        letter = now.get(one.letter.id)
        if letter is None:
            return "gone"
        if letter.state == v1.DEAD_LETTER_STATE_DEAD and letter.attempts > one.letter.attempts:
            return f"failed again: {letter.error}"
        await asyncio.sleep(0.2)
    return "asked; not acted on yet"


def _ended(outcomes: list[tuple[Found, str]], what: str, as_json: bool) -> None:
    if as_json:
        print_json([{"locality": one.locality, "id": one.letter.id, "outcome": outcome} for one, outcome in outcomes])
    else:
        rows = [[one.locality, one.letter.id, what if outcome == "gone" else outcome] for one, outcome in outcomes]
        print_table(["locality", "id", "outcome"], rows, empty="No dead letters.")
    if any(outcome != "gone" for _, outcome in outcomes):
        raise typer.Exit(Exit.FOUND)
