"""One run of a mesh on this machine, from its start to its report."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from mesh.cli import agreement_changes, agreement_files, report, settling, snapshot
from mesh.cli.agreement_state import held_at
from mesh.cli.exits import Exit
from mesh.cli.feed import Tally
from mesh.cli.journeys import walk_all
from mesh.cli.journeys_file import Journeys
from mesh.cli.journeys_shown import journey_json
from mesh.cli.journeys_walked import WalkedJourney
from mesh.cli.next_steps import next_steps
from mesh.cli.output import duration, name_of, out, people, print_json
from mesh.cli.own_log import own_log
from mesh.cli.replay import feed_file, rejected_file
from mesh.cli.replaying import RejectedRows
from mesh.cli.rows_file import RowsFile
from mesh.cli.running import RunningMesh
from mesh.cli.scrolling import Scroll
from mesh.cli.tailing import Tail
from mesh.cli.waiting import Say, named, waiting
from mesh.errors import MeshError
from mesh.stack.process import ChildEvent, Happening
from mesh.stack.stack import Stack

_FINDINGS_SHOWN: Final = 20

_logger = logging.getLogger("lienthong.up")


@dataclass
class Run:
    """One `lienthong up`."""

    localities: list[str]
    files: list[RowsFile]
    speed: float | None
    data: Path
    fresh: bool
    exits: bool
    as_json: bool
    journeys: Journeys | None = None
    tallies: dict[str, Tally] = field(default_factory=dict)
    walked: list[WalkedJourney] = field(default_factory=list)
    skipped_rows: int = 0
    ready: bool = False
    stays: bool = False
    """Whether it has done what it had to, and stays up until told to stop."""

    @property
    def console(self) -> Console:
        """Where people are told how it goes."""
        return people(as_json=self.as_json)

    async def through(self) -> Exit:
        """Starts everything, does what was asked, and stops everything. Raises StartUpError."""
        began = time.monotonic()
        with own_log() as write_log_to, ExitStack() as starting:
            say = starting.enter_context(waiting(self.console, "starting"))
            stack = Stack(self.localities, self.data, fresh=self.fresh, on_event=lambda event: self._tell(event, say))
            async with stack:
                write_log_to(stack.data / "logs" / "up.log")
                mesh = RunningMesh(stack.endpoints(), stack.data)
                try:
                    await self._agree(mesh, say)
                    await settling.subscribed(mesh, lambda missing: say(f"waiting for {named(missing)}"))
                    self.ready = True
                    starting.close()
                    self._say_ready(mesh, time.monotonic() - began)
                    return await self._work(mesh)
                finally:
                    await mesh.close()
                    self.console.print("stopping")

    async def _work(self, mesh: RunningMesh) -> Exit:
        scroll = None if self.as_json else Scroll(Tail(mesh, self.localities), self.console)
        if scroll is not None:
            await scroll.start()
        try:
            if self.files or self.journeys or self.exits:
                found = await self._feed_and_recount(mesh, scroll)
                if self.exits:
                    return Exit.OK if found.sound and all(one.met for one in self.walked) else Exit.FOUND
            self.stays = True
            edge = mesh.endpoints.localities[self.localities[0]].edge
            walked = self.journeys.path if self.journeys else None
            self.console.print(next_steps(self.localities, mesh.folder, walked, edge))
            return await asyncio.Future()  # until Ctrl-C
        finally:
            if scroll is not None:
                await scroll.stop()

    async def _feed_and_recount(self, mesh: RunningMesh, scroll: Scroll | None) -> report.Report:
        """Replays, walks the journeys, waits until all is caught up, recounts and prints.

        With --exit all hours are closed first.
        """
        since, began = datetime.now(UTC), time.monotonic()
        self.tallies = {slug: Tally() for slug in self.localities}
        for file in self.files:
            rejected = RejectedRows(rejected_file(mesh, file.path), file.kind)
            self.skipped_rows += await feed_file(
                mesh, file, self.localities, self.speed, self.tallies, rejected, self.console
            )
        settled = await self._settle(mesh)
        if self.journeys is not None:
            await self._walk(mesh, self.journeys, scroll)
            settled = await self._settle(mesh)
        if self.exits:
            await settling.close_hours(mesh, uuid.uuid4().hex[:12])
            settled = await self._settle(mesh)
        seconds = time.monotonic() - began
        found = report.of(await snapshot.take(mesh), self.tallies, self.skipped_rows, since, seconds)
        self._print(found, settled)
        return found

    async def _walk(self, mesh: RunningMesh, journeys: Journeys, scroll: Scroll | None) -> None:
        """Walks the journeys; events scroll on afterwards, since theirs are in the tables."""
        if scroll is not None:
            await scroll.stop()
        self.walked = await walk_all(mesh, journeys, self.console, as_json=self.as_json)
        if scroll is not None:
            await scroll.start()

    async def _settle(self, mesh: RunningMesh) -> bool:
        with waiting(self.console, "catching up") as say:
            return await settling.caught_up(mesh, lambda owed: say(f"catching up: {named(owed)}"))

    def _print(self, found: report.Report, settled: bool) -> None:
        if not settled:
            self.console.print("Nothing has moved for minutes, and not everything is caught up.", style="red")
        for finding in found.recount.findings[:_FINDINGS_SHOWN]:
            self.console.print(str(finding), style="red")
        if self.as_json:
            walked = {"journeys": [journey_json(one) for one in self.walked]} if self.journeys else {}
            print_json(found.as_json() | walked)
        else:
            out.print()
            out.print(found.shown())

    async def _agree(self, mesh: RunningMesh, say: Say) -> None:
        """Applies bundled agreements whose parties both run, unless both know them: an operator may have ended one."""
        for agreement in agreement_files.bundled():
            parties = {agreement.provider, agreement.recipient}
            if not parties <= set(mesh.localities):
                continue
            holders = [slug for slug in parties if agreement.id in {held.id for held in await held_at(mesh, slug)}]
            if len(holders) < len(parties):
                say(f"agreement {agreement.id}")
                try:
                    await agreement_changes.apply(mesh, agreement)
                except MeshError as refused:
                    self.console.print(f"agreement {agreement.id}: {refused}", style="yellow")

    def _say_ready(self, mesh: RunningMesh, took_s: float) -> None:
        names = ", ".join(name_of(slug) for slug in self.localities)
        self.console.print(f"[bold]{names}[/bold] up after {duration(took_s)}; data and logs in {mesh.folder}")

    def _tell(self, event: ChildEvent, say: Say) -> None:
        """Children that start are mentioned in passing; one that ends, and its return, is worth a line."""
        _logger.info("%s %s %s", event.child, event.happening, event.detail)
        if event.happening is Happening.CRASHED:
            self.console.print(f"[yellow]{event.child}[/yellow] {event.detail}; it is started again")
        elif event.happening is Happening.READY and self.ready:
            self.console.print(f"[yellow]{event.child}[/yellow] is ready again")
        elif event.happening is Happening.READY:
            say(f"{event.child} is ready")
