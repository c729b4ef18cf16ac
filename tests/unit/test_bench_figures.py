"""What a measurement says of its figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.figures import Figures, Plan, Ratio, alternate, median, percentiles_ms


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(runs=3, seconds=1, folder=tmp_path, say=lambda line: None)


async def test_contestants_take_turns(plan: Plan) -> None:
    """Whatever else the machine does meets all of them."""
    order = []

    async def run(name: str) -> Figures:
        order.append(name)
        return {"rate": float(len(order))}

    runs = await alternate(plan, {"ours": lambda: run("ours"), "peer": lambda: run("peer")})

    assert order == ["ours", "peer"] * 3
    assert median(runs["ours"], "rate") == 3
    assert median(runs["peer"], "rate") == 4


@pytest.mark.parametrize(
    ("targets", "holds", "shown"),
    [
        ({"at_least": 0.75}, True, "≥ 0.75"),
        ({"at_least": 0.9}, False, "≥ 0.9"),
        ({"at_most": 1.0}, True, "≤ 1"),
        ({"at_most": 0.5}, False, "≤ 0.5"),
        ({}, None, ""),
    ],
)
def test_a_ratio_knows_whether_its_target_holds(targets: dict[str, float], holds: bool | None, shown: str) -> None:
    ratio = Ratio("calls", ours=80, other=100, unit="calls/s", against="bare", **targets)

    assert ratio.ratio == 0.8
    assert ratio.holds is holds
    assert ratio.target == shown


def test_percentiles_are_latencies_that_occurred() -> None:
    latencies = [number / 1000 for number in range(1, 101)]

    assert percentiles_ms(latencies) == {"p50_ms": 51.0, "p99_ms": 100.0}
