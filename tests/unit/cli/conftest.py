"""Builders for what a recount judges."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from mesh.cli.records import EffectRecord, Entry, Letter, LogRecord, ServiceRecord, Snapshot, Watch

LINE = "da-nang/environment/air_quality_alert/3"
RAISED = "lienthong.environment.v1.AirQualityAlertRaised"
AT = datetime(2026, 11, 1, tzinfo=UTC)


def entry(position: int, *, sequence: int | None = None, line: str = LINE, type: str = RAISED) -> Entry:
    """An event of da-nang's log; its id is `e<position>`."""
    return Entry(
        position=position,
        line=line,
        sequence=position if sequence is None else sequence,
        subject="events." + line.replace("/", "."),
        type=type,
        id=f"e{position}" if type else "",
        source="/da-nang/environment" if type else "",
        causation_id="",
        at=AT,
    )


def effect(sequence: int, *, cause: str = "", subscription: str = "health.advise", line: str = LINE) -> EffectRecord:
    """The effect of one event."""
    return EffectRecord(subscription, line, sequence, cause or f"e{sequence}", {"HealthAdvisory": 1}, AT, AT)


def letter(first: int, last: int | None = None, *, waiting: bool = False) -> Letter:
    """A dead letter, or one that waits."""
    return Letter("health.advise", LINE, first, last or first, "INTERNAL", waiting)


@pytest.fixture
def snapshot() -> Callable[..., Snapshot]:
    """Da Nang's environment log, and what health did with it: `snapshot(entries, effects, letters, mark=…)`."""

    def make(
        entries: list[Entry],
        effects: list[EffectRecord],
        letters: list[Letter] | None = None,
        *,
        mark: int = 0,
        start: int = 0,
        published: int = 99,
    ) -> Snapshot:
        log = LogRecord("da-nang", "environment", "events", "EVENTS_DA_NANG_ENVIRONMENT", published, entries)
        watch = Watch(
            locality="da-nang",
            service="health",
            subscription="health.advise",
            stream=log.stream,
            subject="events.da-nang.environment.air_quality_alert.*",
            types=frozenset({RAISED}),
            start={LINE: start} if start else {},
            marks={LINE: mark} if mark else {},
        )
        health = ServiceRecord("da-nang", "health", [watch], letters or [], effects)
        return Snapshot([health], [log])

    return make
