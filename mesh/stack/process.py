"""A child process under supervision: started until ready, restarted when it crashes, stopped in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from mesh.ending import end
from mesh.errors import StartUpError

_log = logging.getLogger(__name__)

_LEASH = Path(__file__).with_name("leash.py")
_LOG_BYTES = 20_000_000
_TAIL_LINES = 15


class Happening(StrEnum):
    """What can happen to a child."""

    READY = "ready"
    CRASHED = "crashed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ChildEvent:
    """Something that happened to a child."""

    child: str
    """Its name, such as `da-nang.nats`."""
    happening: Happening
    detail: str = ""
    """For people: the exit status, the log file."""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class ChildFailed(StartUpError):
    """A child ended, or was not ready in time, before it was ever of use."""


@dataclass(frozen=True)
class Backoff:
    """Pauses before the restarts of a child that keeps crashing: doubling, capped."""

    first_s: float = 0.2
    longest_s: float = 10.0
    forgive_after_s: float = 30.0
    """A child that has been ready for so long starts again with the first pause."""

    def pause_s(self, crashes: int) -> float:
        """Returns the pause after the given number of crashes in a row (1 = the first)."""
        return min(self.longest_s, self.first_s * 2.0 ** min(crashes - 1, 30))


class Child:
    """One supervised child process.

    It is in a process group of its own, so Ctrl-C in the terminal reaches only the parent, which stops its children in
    order; and on a leash (see `leash.py`), so it never outlives a parent that was killed.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        ready: Callable[[], Awaitable[bool]],
        env: Mapping[str, str] | None = None,
        ready_timeout_s: float = 60.0,
        stop_timeout_s: float = 20.0,
        backoff: Backoff = Backoff(),
        before_stop: Callable[[], Awaitable[None]] | None = None,
        report: Callable[[ChildEvent], None] = lambda event: None,
    ) -> None:
        """`ready` is asked until it says the child is of use, and must answer soon; `env` replaces ours.

        `before_stop` is for a child that does not finish by itself, when it gets SIGTERM, what it has begun.
        """
        self.name = name
        self.log = log
        self.starts = 0
        self._command = [str(part) for part in command]
        self._env = dict(env) if env is not None else None
        self._ready = ready
        self._ready_timeout_s = ready_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._backoff = backoff
        self._before_stop = before_stop
        self._report = report
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._is_ready = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Process id; None while it does not run."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Starts the child and returns when it is ready; from then on it is restarted whenever it ends.

        Raises ChildFailed when it ends or is not ready in time, with the end of its log.
        """
        if self._keeper is not None:
            return
        try:
            await self._run_until_ready()
        except BaseException:
            await self._end()
            raise
        self._keeper = asyncio.create_task(self._keep(), name=f"keeper of {self.name}")

    async def wait_ready(self) -> None:
        """Returns when the child is ready: at once, or after the restart that is under way."""
        await self._is_ready.wait()

    async def stop(self) -> None:
        """Stops the child, SIGTERM first and SIGKILL when it takes too long; it stays down until `start`."""
        await self._let_go()
        if self._before_stop is not None and self.pid is not None:
            await self._before_stop()
        await self._end()
        self._tell(Happening.STOPPED)

    async def kill(self, *, restart: bool = True) -> None:
        """Kills the child with SIGKILL, as a crash would, and returns when it is gone.

        With `restart=False` it stays down until `start`.
        """
        if not restart:
            await self._let_go()
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._is_ready.clear()
        self.signal(signal.SIGKILL)
        await process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal; does nothing when the child does not run."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def _keep(self) -> None:
        crashes = 0
        loop = asyncio.get_running_loop()
        while True:
            ready_at = loop.time()
            assert self._process is not None
            status = await self._process.wait()
            self._is_ready.clear()
            crashes = 1 if loop.time() - ready_at >= self._backoff.forgive_after_s else crashes + 1
            self._tell(Happening.CRASHED, f"{_how(status)}; log: {self.log}")
            crashes = await self._start_again(crashes)

    async def _start_again(self, crashes: int) -> int:
        while True:
            await asyncio.sleep(self._backoff.pause_s(crashes))
            try:
                await self._run_until_ready()
                return crashes
            except Exception as failure:  # noqa: BLE001 - whatever it is, giving up would leave the child down for good
                crashes += 1
                await self._end()
                self._tell(Happening.CRASHED, str(failure))

    async def _run_until_ready(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_LEASH), str(os.getpid())),
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                process_group=0,
            )
        self.starts += 1
        await self._wait_until_ready(self._process)
        self._is_ready.set()
        self._tell(Happening.READY, f"process {self.pid}")

    async def _wait_until_ready(self, process: asyncio.subprocess.Process) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._ready_timeout_s
        while not await self._ready():
            if process.returncode is not None:
                raise ChildFailed(f"{self.name} {_how(process.returncode)} before it was ready.\n{self._tail()}")
            if loop.time() > deadline:
                raise ChildFailed(f"{self.name} was not ready within {self._ready_timeout_s:g} s.\n{self._tail()}")
            await asyncio.sleep(0.05)

    async def _let_go(self) -> None:
        if self._keeper is not None:
            await end([self._keeper])
            self._keeper = None

    async def _end(self) -> None:
        self._is_ready.clear()
        process = self._process
        if process is None or process.returncode is not None:
            return
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), self._stop_timeout_s)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await process.wait()

    def _tell(self, happening: Happening, detail: str = "") -> None:
        try:
            self._report(ChildEvent(self.name, happening, detail))
        except Exception:  # noqa: BLE001 - a listener's mistake is no reason to leave a child alone
            _log.exception("could not report that %s %s", self.name, happening)

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"The end of {self.log}:", *(f"  {line}" for line in lines[-_TAIL_LINES:])])


def _how(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
