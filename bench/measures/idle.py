"""The four-locality stack when nothing happens: memory per process and in all, processor time."""

from __future__ import annotations

import asyncio
from typing import Any

import psutil

from bench.figures import Plan, Ratio, Report
from mesh.stack.stack import Stack

LOCALITIES = ("da-nang", "hue", "ha-noi", "quang-ninh")
LARGEST_MIB = 150
_SETTLE_S = 30.0
"""Until start-up is over and MongoDB has closed the tables nobody uses."""


async def measure(plan: Plan) -> Report:
    """Resident and proportional memory after it has settled; processor time over some seconds from then on."""
    async with Stack(LOCALITIES, plan.folder / "data", fresh=True) as stack:
        await asyncio.sleep(_SETTLE_S)
        processes = {name: psutil.Process(child.pid) for name, child in stack.children.items() if child.pid}
        before = {name: _cpu_s(process) for name, process in processes.items()}
        await asyncio.sleep(plan.seconds)
        table = [_row(name, process, before[name], plan.seconds) for name, process in processes.items()]
    largest = max(table, key=lambda row: float(row["resident MiB"]))
    total: dict[str, Any] = {"process": "in all"}
    total |= {column: sum(float(row[column]) for row in table) for column in table[0] if column != "process"}
    ratio = Ratio(
        "largest process, idle",
        float(largest["resident MiB"]),
        LARGEST_MIB,
        "MiB",
        str(largest["process"]),
        at_most=1.0,
    )
    return Report("idle", [ratio], table=[*table, total])


def _row(name: str, process: psutil.Process, before: float, seconds: float) -> dict[str, Any]:
    memory = process.memory_full_info()
    return {
        "process": name,
        "resident MiB": memory.rss / 2**20,
        "proportional MiB": memory.pss / 2**20,
        "processor %": 100 * (_cpu_s(process) - before) / seconds,
    }


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
