"""The recount believes no mark: every event of the log must show its effect, or a letter, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mesh.cli.records import Snapshot
from mesh.cli.recount import Finding, Kind, covers, recount
from tests.unit.cli.conftest import LINE, effect, entry, letter

Make = Callable[..., Snapshot]


def kinds(findings: list[Finding]) -> list[Kind]:
    return [finding.kind for finding in findings]


def test_a_sound_mesh_has_no_findings(snapshot: Make) -> None:
    """Three events, three effects, the mark at three."""
    counted = recount(snapshot([entry(1), entry(2), entry(3)], [effect(1), effect(2), effect(3)], mark=3))

    assert (counted.logged, counted.published, counted.handled) == (3, 3, 3)
    assert counted.findings == []


def test_an_event_the_mark_passed_without_effect_is_lost(snapshot: Make) -> None:
    """The mark says three; the second event has nothing to show for it."""
    counted = recount(snapshot([entry(1), entry(2), entry(3)], [effect(1), effect(3)], mark=3))

    [finding] = counted.findings
    assert (finding.kind, finding.line, finding.sequence) == (Kind.LOST, LINE, 2)
    assert "e2" in finding.detail
    assert (counted.lost, counted.doubled, counted.dead) == (1, 0, 0)


def test_an_event_before_the_mark_came_to_it_is_on_its_way(snapshot: Make) -> None:
    """While a mesh is at work that is no fault; after it has caught up, the report counts it as lost."""
    counted = recount(snapshot([entry(1), entry(2)], [effect(1)], mark=1))

    assert kinds(counted.findings) == [Kind.WAITING]
    assert counted.wrong == []
    assert counted.lost == 1


def test_a_line_no_mark_has_met_is_judged_too(snapshot: Make) -> None:
    """A subscription that never began to read a line cannot hide its events."""
    counted = recount(snapshot([entry(1)], [], mark=0))

    assert kinds(counted.findings) == [Kind.WAITING]


def test_two_effects_of_one_event_are_a_double(snapshot: Make) -> None:
    """Even if both name the same event."""
    counted = recount(snapshot([entry(1)], [effect(1), effect(1)], mark=1))

    assert kinds(counted.findings) == [Kind.DOUBLED]
    assert counted.doubled == 1


def test_an_effect_must_name_the_event_under_its_number(snapshot: Make) -> None:
    """A sequence that was given twice, to two events, shows here."""
    counted = recount(snapshot([entry(1)], [effect(1, cause="another")], mark=1))

    assert kinds(counted.findings) == [Kind.OTHER_EVENT]
    assert counted.lost == 1


def test_an_effect_beyond_the_log_names_what_the_log_forgot(snapshot: Make) -> None:
    """A log restored from an older copy, its events not."""
    counted = recount(snapshot([entry(1)], [effect(1), effect(2)], mark=2))

    assert set(kinds(counted.findings)) == {Kind.UNKNOWN_EVENT}


def test_letters_stand_for_their_events(snapshot: Make) -> None:
    """A letter for one event, one for a range, and one that waits: none is lost, all are told."""
    entries = [entry(n) for n in range(1, 6)]

    counted = recount(snapshot(entries, [effect(1)], [letter(2), letter(3, 4), letter(5, waiting=True)], mark=5))

    assert kinds(counted.findings) == [Kind.DEAD, Kind.DEAD, Kind.HELD]
    assert (counted.lost, counted.dead) == (0, 3)


def test_what_came_before_the_subscription_is_not_its_affair(snapshot: Make) -> None:
    """It began after the second event."""
    counted = recount(snapshot([entry(1), entry(2), entry(3)], [effect(3)], mark=3, start=2))

    assert counted.findings == []


def test_events_of_other_types_owe_nothing(snapshot: Make) -> None:
    """The mark moves over them."""
    lifted = "lienthong.environment.v1.AirQualityAlertLifted"

    assert recount(snapshot([entry(1, type=lifted)], [], mark=1)).findings == []


def test_numbers_that_stand_for_nothing_owe_nothing(snapshot: Make) -> None:
    """VOID entries fill what a restored database no longer knows."""
    assert recount(snapshot([entry(1), entry(2, type="")], [effect(1)], mark=2)).findings == []


@pytest.mark.parametrize(
    "entries",
    [[entry(1), entry(3)], [entry(1), entry(2, sequence=3)], [entry(1), entry(2, sequence=1)]],
    ids=["position", "sequence", "sequence twice"],
)
def test_a_log_with_a_hole_is_told(snapshot: Make, entries: list[object]) -> None:
    """Positions and sequences are contiguous, or something was lost before it was ever published."""
    effects = [effect(sequence) for sequence in {item.sequence for item in entries}]  # type: ignore[attr-defined]

    counted = recount(snapshot(entries, effects, mark=9))

    assert Kind.LOG_HOLE in kinds(counted.findings)
    assert counted.lost >= 1


def test_what_was_shared_is_owed_by_the_recipient(snapshot: Make) -> None:
    """The stream at the recipient sources the provider's share log, which lies in another locality."""
    taken = snapshot([entry(1)], [effect(1)], mark=1)
    line = "dn-hue-air-1/environment/air_quality_alert/3"
    subject = "shared.da-nang.hue.dn-hue-air-1.environment.air_quality_alert.3"
    shared = replace(entry(1, line=line), subject=subject)
    log = replace(
        taken.logs[0], service="exchange", name="shared-hue", stream="SHARED_DA_NANG_TO_HUE", entries=[shared]
    )
    admits = replace(
        taken.services[0].watches[0],
        locality="hue",
        service="exchange",
        subscription="exchange.from.da-nang",
        stream="RECEIVED_HUE",
        subject="shared.da-nang.hue.*.*.*.*",
        types=frozenset(),
        marks={line: 1},
    )
    hue = replace(taken.services[0], locality="hue", service="exchange", watches=[admits], effects=[])

    [finding] = recount(replace(taken, services=[*taken.services, hue], logs=[*taken.logs, log])).findings

    assert (finding.kind, finding.locality, finding.subscription) == (Kind.LOST, "hue", "exchange.from.da-nang")


def test_only_what_the_stream_is_known_to_hold_counts_as_published(snapshot: Make) -> None:
    """The relay is one behind."""
    counted = recount(snapshot([entry(1), entry(2)], [effect(1), effect(2)], mark=2, published=1))

    assert (counted.logged, counted.published) == (2, 1)


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("events.*.environment.air.*", "events.hue.environment.air.3", True),
        ("events.hue.environment.air.*", "events.da-nang.environment.air.3", False),
        ("events.*.environment.air.*", "events.hue.environment.air", False),
        ("shared.a.>", "shared.a.b.c", True),
        ("shared.a.>", "shared.b.b.c", False),
    ],
)
def test_subject_filters_are_read_as_nats_reads_them(pattern: str, subject: str, expected: bool) -> None:
    """`*` is one token, `>` the rest."""
    assert covers(pattern, subject) is expected
