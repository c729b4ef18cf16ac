"""Processes of a measurement: what is measured and what puts load on it do not share an interpreter.

`Process.start("bench.raw.echo", port=1)` runs `main` of that module in a process of its own. `main` says it is ready,
then answers what it is asked, one JSON object a line, until its standard input ends.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

_ROOT = Path(__file__).parents[1]
_LIMIT = 64 << 20
_STOP_S = 30.0

PROFILE = "LIENTHONG_BENCH_PROFILE"
"""Variable with a folder: py-spy then writes there what the processes of Lienthong did, for speedscope.app."""
_PROFILED = "bench.host"

Answers = dict[str, Callable[..., Awaitable[dict[str, Any]]]]


class Process:
    """A process of the measurement, as the measurement sees it."""

    def __init__(self, module: str, process: asyncio.subprocess.Process, ready: dict[str, Any]) -> None:
        self.module = module
        self.ready = ready
        """What it said when it was ready, such as its port."""
        self.pid = process.pid
        self._process = process
        self._psutil = psutil.Process(process.pid)

    @classmethod
    @asynccontextmanager
    async def start(cls, module: str, *, log: Path, **given: Any) -> AsyncIterator[Process]:
        """Starts it and waits until it is ready; ends it at the end of the block."""
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bench.processes", module, json.dumps(given)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                cwd=_ROOT,
                limit=_LIMIT,
                env=os.environ | {"PYTHONWARNINGS": "ignore"},
            )
        profiler = await _profiler(module, process.pid)
        try:
            yield cls(module, process, await _line(module, process, log))
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), _STOP_S)
            except TimeoutError:
                process.kill()
                await process.wait()
            if profiler is not None:
                await profiler.wait()

    async def ask(self, question: str, **given: Any) -> dict[str, Any]:
        """Asks it something and returns its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"ask": question, **given}).encode() + b"\n")
        return await _line(self.module, self._process, None)

    def cpu_s(self) -> float:
        """Processor seconds it has used."""
        times = self._psutil.cpu_times()
        return float(times.user + times.system)


async def _profiler(module: str, pid: int) -> asyncio.subprocess.Process | None:
    folder = os.environ.get(PROFILE)
    if not folder or module != _PROFILED:
        return None
    file = Path(folder) / f"{time.strftime('%H%M%S')}-{pid}.json"
    options = ("record", "--threads", "--gil", "--rate", "250", "--format", "speedscope", "--output", str(file))
    program = Path(sys.executable).with_name("py-spy")
    quiet = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(program, *options, "--pid", str(pid), stdout=quiet, stderr=quiet)


async def _line(module: str, process: asyncio.subprocess.Process, log: Path | None) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise SystemExit(f"{module} ended{f'; see {log}' if log else ''}")
    answer: dict[str, Any] = json.loads(line)
    return answer


class Link:
    """The measurement, as its process sees it."""

    def __init__(self) -> None:
        # Whatever else prints, prints to the log.
        self._out = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)

    def say(self, **said: Any) -> None:
        """Says that it is ready, or answers."""
        self._out.write(json.dumps(said) + "\n")

    async def serve(self, answers: Answers | None = None) -> None:
        """Answers questions until the measurement ends."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_LIMIT)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            question = json.loads(line)
            self.say(**await (answers or {})[question.pop("ask")](**question))


def _main() -> None:
    module = importlib.import_module(sys.argv[1])
    link, given = Link(), json.loads(sys.argv[2])
    if inspect.iscoroutinefunction(module.main):
        # What is measured runs as its own process would; all else as asyncio comes.
        getattr(module, "run", asyncio.run)(module.main(link, **given))
    else:
        module.main(link, **given)


if __name__ == "__main__":
    _main()
