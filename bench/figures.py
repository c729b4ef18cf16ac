"""Figures: alternating runs, medians, ratios with both absolute numbers, and the file they are kept in."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

Figures = dict[str, float]
"""What one run of one contestant came to, by name."""


@dataclass(frozen=True)
class Plan:
    """How thoroughly to measure."""

    runs: int
    seconds: float
    folder: Path
    """Where servers write."""
    say: Callable[[str], None]
    """Tells people what is going on."""


@dataclass
class Ratio:
    """One line of the table: two medians, and what their ratio should be."""

    measure: str
    ours: float
    other: float
    unit: str
    against: str
    at_least: float | None = None
    at_most: float | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Ours to the other."""
        return self.ours / self.other if self.other else float("nan")

    @property
    def holds(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.at_least is not None:
            return self.ratio >= self.at_least
        return None if self.at_most is None else self.ratio <= self.at_most

    @property
    def target(self) -> str:
        """The target, for people."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return "" if self.at_most is None else f"≤ {self.at_most:g}"

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        return {**asdict(self), "ratio": round(self.ratio, 3), "target": self.target, "holds": self.holds}


@dataclass
class Report:
    """What a measurement came to."""

    name: str
    ratios: list[Ratio] = field(default_factory=list)
    runs: dict[str, list[Figures]] = field(default_factory=dict)
    """Every single run, by contestant."""
    table: list[dict[str, Any]] = field(default_factory=list)
    """Figures that are not ratios."""
    left_out: list[str] = field(default_factory=list)
    """What was not measured, and why."""


async def alternate(
    plan: Plan, contestants: Mapping[str, Callable[[], Awaitable[Figures]]], runs: int | None = None
) -> dict[str, list[Figures]]:
    """Runs contestants in turn, so that whatever else the machine does meets all of them."""
    found: dict[str, list[Figures]] = {name: [] for name in contestants}
    for number in range(runs or plan.runs):
        for name, run in contestants.items():
            figures = await run()
            found[name].append(figures)
            shown = ", ".join(f"{key} {value:,.4g}" for key, value in figures.items())
            plan.say(f"  run {number + 1}: {name}: {shown}")
    return found


def median(runs: Sequence[Figures], figure: str) -> float:
    """The median of one figure over runs."""
    return statistics.median(run[figure] for run in runs)


def percentiles_ms(latencies_s: Sequence[float]) -> Figures:
    """Median and 99th percentile in milliseconds."""
    ordered = sorted(latencies_s)
    return {"p50_ms": 1000 * _at(ordered, 0.50), "p99_ms": 1000 * _at(ordered, 0.99)}


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def save(reports: Sequence[Report], plan: Plan) -> Path:
    """Writes `results/<date>.json`; what another measurement wrote there on the same day stays."""
    file = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}.json"
    before = json.loads(file.read_text()) if file.exists() else {}
    measures = before.get("measures", {}) | {
        report.name: {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "runs": plan.runs,
            "seconds": plan.seconds,
            "ratios": [ratio.as_json() for ratio in report.ratios],
            "table": report.table,
            "left_out": report.left_out,
            "every_run": report.runs,
        }
        for report in reports
    }
    RESULTS.mkdir(exist_ok=True)
    file.write_text(json.dumps({"machine": _machine(), "measures": measures}, indent=1, ensure_ascii=False) + "\n")
    return file


def newest() -> dict[str, Any]:
    """What the newest results file holds."""
    files = sorted(RESULTS.glob("*.json"))
    if not files:
        raise SystemExit(f"{RESULTS} holds no results yet")
    results: dict[str, Any] = json.loads(files[-1].read_text())
    return results


def markdown(results: dict[str, Any]) -> str:
    """The ratios of a results file as a table."""
    lines = [
        "| measure | ours | other | unit | against | ratio | target | |",
        "| --- | --: | --: | --- | --- | --: | --- | --- |",
    ]
    for measured in results["measures"].values():
        for line in measured["ratios"]:
            mark = {True: "holds", False: "missed", None: ""}[line["holds"]]
            figures = f"{line['ours']:,.4g} | {line['other']:,.4g} | {line['unit']} | {line['against']}"
            lines.append(f"| {line['measure']} | {figures} | {line['ratio']:.2f} | {line['target']} | {mark} |")
    return "\n".join(lines)


def _machine() -> dict[str, Any]:
    return {
        "processors": os.cpu_count(),
        "model": _processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
