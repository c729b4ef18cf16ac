"""Skips are for a developer's machine; where `CI` is true one fails, except for missing real data.

The real data are observed values without a licence to copy, beside a checkout at most: `../shared/data`.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"
ABSENT = "real data absent:"


def real_data(name: str) -> Path:
    """Returns a file of real data; skips the test, saying so, where it is absent."""
    path = REAL_DATA / name
    if not path.exists():
        pytest.skip(f"{ABSENT} ../shared/data/{name}")
    return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judges a skip inside a test or fixture."""
    report = yield
    _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Judges a skip of a whole file."""
    report = yield
    _judge(report)
    return report


def _judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    expected_to_fail = hasattr(report, "wasxfail")
    if not report.skipped or expected_to_fail or os.environ.get("CI", "").lower() != "true":
        return
    reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if ABSENT not in reason:
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not accept: {reason.removeprefix('Skipped: ')}"
