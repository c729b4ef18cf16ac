"""`python -m bench [NAME…]`: measures, prints ratios with both absolute numbers, writes `bench/results/<date>.json`."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figures import Plan, Report, markdown, newest, save
from bench.processes import PROFILE

MEASURES = (
    *("unary", "edge", "writes", "effects", "latency", "streaming", "border"),
    *("relay", "fanout", "idle", "growth"),
)


def main() -> int:
    """Measures what the command line names; exit status 1 where a target was missed."""
    arguments = _arguments()
    console = Console(highlight=False)
    if arguments.markdown:
        print(markdown(newest()))
        return 0
    if arguments.profile:
        arguments.profile.mkdir(parents=True, exist_ok=True)
        os.environ[PROFILE] = str(arguments.profile.resolve())
    reports = []
    for name in arguments.measure or MEASURES:
        module = importlib.import_module(f"bench.measures.{name}")
        console.print(f"[bold]{name}[/]: {module.__doc__.splitlines()[0]}")
        folder = Path(tempfile.mkdtemp(prefix=f"lienthong-bench-{name}-"))
        plan = Plan(arguments.runs, arguments.seconds, folder, lambda line: console.print(line, style="dim"))
        began = time.monotonic()
        report = asyncio.run(module.measure(plan))
        console.print(f"  {time.monotonic() - began:.0f} s", style="dim")
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
        reports.append(report)
        _show(console, report)
        if not arguments.dry:
            save([report], plan)
    missed = [ratio for report in reports for ratio in report.ratios if ratio.holds is False]
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("measure", nargs="*", choices=[*MEASURES, []], metavar="NAME", help=", ".join(MEASURES))
    parser.add_argument("--runs", type=int, default=5, help="runs of each contestant, in turn; the median counts")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds of load in each run")
    parser.add_argument("--markdown", action="store_true", help="measure nothing; print the newest results as a table")
    parser.add_argument("--dry", action="store_true", help="write no results file")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="py-spy writes there what our processes did")
    parser.add_argument("--keep", action="store_true", help="keep the servers' folders, with their logs")
    return parser.parse_args()


def _show(console: Console, report: Report) -> None:
    if report.ratios:
        table = Table("measure", "ours", "other", "unit", "against", "ratio", "target", "", box=None)
        for ratio in report.ratios:
            mark = {True: "[green]holds[/]", False: "[red]missed[/]", None: ""}[ratio.holds]
            figures = (f"{ratio.ours:,.4g}", f"{ratio.other:,.4g}", ratio.unit, ratio.against)
            table.add_row(ratio.measure, *figures, f"{ratio.ratio:.2f}", ratio.target, mark)
        console.print(table)
    if report.table:
        table = Table(*report.table[0], box=None)
        for row in report.table:
            table.add_row(*(f"{value:,.4g}" if isinstance(value, float) else str(value) for value in row.values()))
        console.print(table)
    for reason in report.left_out:
        console.print(f"  left out: {reason}", style="yellow")


if __name__ == "__main__":
    sys.exit(main())
