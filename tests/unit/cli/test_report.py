"""The report has the agreed shape, and says only what happened in this run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from mesh.cli import report
from mesh.cli.feed import Tally
from mesh.cli.records import Snapshot
from tests.unit.cli.conftest import AT, effect, entry


@pytest.fixture
def tally() -> Tally:
    """Ten rows, one of each fate but eight kept."""
    return Tally(rows=10, accepted=8, duplicate=1, flagged=2, rejected_by_rule=Counter({"lte": 1}))


def test_the_json_has_the_agreed_shape(snapshot: Callable[..., Snapshot], tally: Tally) -> None:
    """Every key, and no other."""
    late = replace(effect(1), committed_at=AT + timedelta(milliseconds=40))

    found = report.of(snapshot([entry(1)], [late], mark=1), {"da-nang": tally}, 5, AT, 1.23456).as_json()

    assert found == {
        "localities": {
            "da-nang": {
                "readings": {
                    "rows": 10,
                    "accepted": 8,
                    "duplicate": 1,
                    "flagged": 2,
                    "rejected": 1,
                    "rejected_by_rule": {"lte": 1},
                },
                "events": {"AirQualityAlertRaised": 1},
                "effects": {"HealthAdvisory": 1},
            }
        },
        "skipped_rows": 5,
        "lines": {"logged": 1, "published": 1, "handled": 1, "lost": 0, "doubled": 0, "dead": 0},
        "latency_ms": {"same_locality": {"p50": 40.0, "p99": 40.0}, "cross_locality": {"p50": None, "p99": None}},
        "seconds": 1.235,
    }


def test_an_effect_of_another_localitys_event_is_a_crossing(snapshot: Callable[..., Snapshot], tally: Tally) -> None:
    """Its line begins with where it was born."""
    line = "hue/environment/air_quality_alert/3"
    crossed = replace(effect(1, line=line), committed_at=AT + timedelta(milliseconds=90))

    found = report.of(snapshot([], [crossed]), {"da-nang": tally}, 0, AT, 1.0)

    assert (found.same_locality.p50_ms, found.cross_locality.p50_ms) == (None, 90.0)


def test_what_happened_before_the_run_is_left_out_of_it_and_still_recounted(
    snapshot: Callable[..., Snapshot], tally: Tally
) -> None:
    """A second start goes on with the data; its report is of itself, the recount of everything."""
    later = AT + timedelta(seconds=1)

    found = report.of(snapshot([entry(1), entry(2)], [effect(1)], mark=2), {"da-nang": tally}, 0, later, 1.0)

    assert not found.events["da-nang"]
    assert not found.effects["da-nang"]
    assert (found.recount.logged, found.recount.lost) == (2, 1)
    assert not found.sound


def test_both_forms_tell_the_same(snapshot: Callable[..., Snapshot], tally: Tally) -> None:
    """Rows of the report for people add up, too."""
    found = report.of(snapshot([entry(1)], [effect(1)], mark=1), {"da-nang": tally}, 0, AT, 1.0)

    assert found.sound
    assert tally.accepted + tally.duplicate + tally.rejected == tally.rows == tally.done


def test_an_event_that_is_an_effect_is_shown_once(snapshot: Callable[..., Snapshot], tally: Tally) -> None:
    """Among the events; documents are shown as effects."""
    advised = replace(effect(1), committed={"HealthAdvisory": 1, "AirQualityAlertRaised": 1})
    found = report.of(snapshot([entry(1)], [advised], mark=1), {"da-nang": tally}, 0, AT, 1.0)
    console = Console(width=120)

    with console.capture() as captured:
        console.print(found.shown())

    assert captured.get().count("AirQualityAlertRaised") == 1
    assert "HealthAdvisory (effect)" in captured.get()


@pytest.mark.parametrize(("percent", "expected"), [(50, 50.0), (99, 99.0), (100, 100.0)])
def test_percentiles_are_nearest_rank(percent: int, expected: float) -> None:
    """Of one to a hundred."""
    assert report.percentile([float(n) for n in range(1, 101)], percent) == expected


def test_without_samples_there_is_no_percentile() -> None:
    """Null, not zero."""
    assert report.percentile([], 99) is None
