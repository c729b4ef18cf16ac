"""`lienthong up`: a mesh on this machine, from nothing."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console, RenderableType

from mesh import localities as known_localities
from mesh.cli import agreement_changes, agreement_files, report, settling, snapshot
from mesh.cli.agreement_state import held_at
from mesh.cli.exits import Exit, UsageError
from mesh.cli.feed import Tally
from mesh.cli.next_steps import next_steps
from mesh.cli.options import AsJson
from mesh.cli.output import duration, name_of, out, people, print_json
from mesh.cli.readings_file import ReadingsFile
from mesh.cli.replay import Speed, feed_file, parse_speed, rejected_file
from mesh.cli.replaying import RejectedRows
from mesh.cli.running import RunningMesh
from mesh.cli.scrolling import Scroll
from mesh.cli.tailing import Tail
from mesh.config import load
from mesh.errors import MeshError
from mesh.stack.process import ChildEvent, Happening
from mesh.stack.stack import Stack
from mesh.telemetry import JsonFormatter

DEFAULT_LOCALITIES: Final = "da-nang,hue,ha-noi,quang-ninh"

_FINDINGS_SHOWN: Final = 20

_logger = logging.getLogger("lienthong.up")


@dataclass
class Run:
    """One `lienthong up`, from its options to its report."""

    localities: list[str]
    files: list[ReadingsFile]
    speed: float | None
    data: Path
    fresh: bool
    exits: bool
    as_json: bool
    tallies: dict[str, Tally] = field(default_factory=dict)
    skipped_rows: int = 0
    ready: bool = False

    @property
    def console(self) -> Console:
        """Where people are told how it goes."""
        return people(as_json=self.as_json)


def up(
    localities: Annotated[
        str, typer.Option(metavar="A,B,…", help="Slugs of the localities to run.")
    ] = DEFAULT_LOCALITIES,
    replay: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Replay a file of readings; may be repeated.")
    ] = None,
    speed: Speed = "max",
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
    was lost, doubled or dead-lettered.

    Example: lienthong up --localities da-nang,hue --replay readings.csv.gz --exit --json
    """
    slugs = _slugs(localities)
    settings = load() if data is None else load(data_dir=data)
    with ExitStack() as opened:
        files = [opened.enter_context(ReadingsFile(path)) for path in replay or []]
        run = Run(slugs, files, parse_speed(speed), settings.data_dir, fresh, exit_, as_json)
        code = asyncio.run(_until_told(run))
    raise typer.Exit(code)


def _slugs(text: str) -> list[str]:
    slugs = list(dict.fromkeys(slug.strip() for slug in text.split(",") if slug.strip()))
    unknown = [slug for slug in slugs if slug not in known_localities.slugs()]
    if unknown or not slugs:
        raise UsageError(f"--localities: no locality {', '.join(unknown) or 'named'}; slugs look like da-nang,hue")
    return slugs


async def _until_told(run: Run) -> Exit:
    """Runs until done or told to stop; Ctrl-C and SIGTERM stop everything in order."""
    task = asyncio.ensure_future(_up(run))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return Exit.OK if run.ready and not run.exits else Exit.INTERRUPTED


async def _up(run: Run) -> Exit:
    began = time.monotonic()
    with _logging_to_file(run.data), run.console.status("starting") as status:

        def on_event(event: ChildEvent) -> None:
            _tell(event, run, status.update)

        async with Stack(run.localities, run.data, fresh=run.fresh, on_event=on_event) as stack:
            mesh = RunningMesh(stack.endpoints(), stack.data)
            try:
                await _agree(run, mesh, status.update)
                await settling.subscribed(mesh, lambda missing: status.update(f"waiting for {_some(missing)}"))
                status.stop()
                run.ready = True
                return await _run(run, mesh, time.monotonic() - began)
            finally:
                await mesh.close()
                _say(run, "stopping")


async def _run(run: Run, mesh: RunningMesh, took_s: float) -> Exit:
    names = ", ".join(name_of(slug) for slug in run.localities)
    _say(run, f"[bold]{names}[/bold] are up after {duration(took_s)}; data in {mesh.folder}")
    since, began = datetime.now(UTC), time.monotonic()
    scroll = None if run.as_json else Scroll(Tail(mesh, run.localities), run.console)
    if scroll is not None:
        await scroll.start()
    try:
        run.tallies = {slug: Tally() for slug in run.localities}
        for file in run.files:
            rejected = RejectedRows(rejected_file(mesh, file.path))
            run.skipped_rows += await feed_file(
                mesh, file, run.localities, run.speed, run.tallies, rejected, run.console
            )
        if run.exits or run.files:
            code = await _report(run, mesh, since, began, scroll)
            if run.exits:
                return code
        _say(run, next_steps(run.localities, mesh.folder))
        await asyncio.Event().wait()
    finally:
        if scroll is not None:
            await scroll.stop()
    return Exit.OK


async def _report(run: Run, mesh: RunningMesh, since: datetime, began: float, scroll: Scroll | None) -> Exit:
    """Waits, recounts, and prints what the run came to; with --exit all hours are closed first."""
    settled = await _settle(run, mesh)
    if run.exits:
        await settling.close_hours(mesh, uuid.uuid4().hex[:12])
        settled = await _settle(run, mesh)
    seconds = time.monotonic() - began
    found = report.of(await snapshot.take(mesh), run.tallies, run.skipped_rows, since, seconds)
    if scroll is not None and run.exits:
        await scroll.stop()
    if not settled:
        run.console.print(
            "[red]Not everything was caught up: nothing has moved for minutes.[/red]  lienthong status says where."
        )
    for finding in found.recount.findings[:_FINDINGS_SHOWN]:
        run.console.print(str(finding))
    if run.as_json and run.exits:
        print_json(found.as_json())
    else:
        out.print()
        out.print(found.shown())
    return Exit.OK if found.sound and settled else Exit.FOUND


async def _settle(run: Run, mesh: RunningMesh) -> bool:
    with run.console.status("catching up") as status:
        return await settling.caught_up(mesh, lambda owed: status.update(f"catching up: {_some(owed)}"))


async def _agree(run: Run, mesh: RunningMesh, say: Callable[[str], None]) -> None:
    """Applies the bundled agreements whose parties both run, unless they are known: an operator may have ended one."""
    for agreement in agreement_files.bundled():
        if {agreement.provider, agreement.recipient} <= set(mesh.localities):
            known = [
                held.id for slug in (agreement.provider, agreement.recipient) for held in await held_at(mesh, slug)
            ]
            if known.count(agreement.id) < 2:
                say(f"agreement {agreement.id}")
                try:
                    await agreement_changes.apply(mesh, agreement)
                except MeshError as refused:
                    run.console.print(f"agreement {agreement.id}: {refused}", style="yellow")


def _tell(event: ChildEvent, run: Run, say: Callable[[str], None]) -> None:
    _logger.info("%s %s %s", event.child, event.happening, event.detail)
    if not run.ready and event.happening is Happening.READY:
        say(f"{event.child} is ready")
    elif event.happening is Happening.CRASHED:
        run.console.print(f"[yellow]{event.child}[/yellow] {event.detail}; it is started again", style="default")
    elif run.ready and event.happening is Happening.READY:
        run.console.print(f"[yellow]{event.child}[/yellow] is ready again")


def _some(owed: dict[str, int]) -> str:
    named = sorted(owed.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{what} ({count:,})" for what, count in named) or "nothing"


def _say(run: Run, text: RenderableType) -> None:
    run.console.print(text)


@contextmanager
def _logging_to_file(data: Path) -> Iterator[None]:
    """Keeps our own log from the terminal: in `logs/up.log`, once the folder is ours to write to."""
    memory = logging.handlers.MemoryHandler(10_000, flushLevel=logging.CRITICAL + 1)
    root = logging.getLogger()
    before, root.handlers[:] = root.handlers[:], [memory]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:] = before
        folder = data / "logs"
        with suppress(OSError):
            if folder.is_dir():
                file = logging.FileHandler(folder / "up.log", encoding="utf-8")
                file.setFormatter(JsonFormatter())
                memory.setTarget(file)
                memory.close()
                file.close()
