"""The report of a run: what came in, what it brought about where, how fast, and whether anything went amiss.

Readings, events, effects and latencies are of this run; the lines are a recount of everything the logs hold.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from mesh.cli.feed import Tally
from mesh.cli.output import name_of, short, table
from mesh.cli.recount import Recount, recount
from mesh.cli.snapshot import EffectRecord, Snapshot

_EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from an event's birth to the commit of its effect."""

    p50_ms: float | None
    p99_ms: float | None

    @classmethod
    def of(cls, effects: list[EffectRecord]) -> Latency:
        """Over the effects of sectors; what an exchange does is part of the way."""
        waits = sorted((effect.committed_at - effect.caused_at).total_seconds() * 1000 for effect in effects)
        return cls(percentile(waits, 50), percentile(waits, 99))

    def as_json(self) -> dict[str, float | None]:
        return {"p50": self.p50_ms, "p99": self.p99_ms}


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to."""

    tallies: dict[str, Tally]
    events: dict[str, Counter[str]]
    """Of each locality: events born there, by type."""
    effects: dict[str, Counter[str]]
    """Of each locality: documents and events its subscriptions committed, by type."""
    skipped_rows: int
    recount: Recount
    same_locality: Latency
    cross_locality: Latency
    seconds: float

    @property
    def sound(self) -> bool:
        """Nothing lost, doubled or dead."""
        counted = self.recount
        return not (counted.lost or counted.doubled or counted.dead or counted.wrong)

    def as_json(self) -> dict[str, Any]:
        """As `lienthong up --exit --json` prints it."""
        counted = self.recount
        return {
            "localities": {
                slug: {
                    "readings": tally.as_json(),
                    "events": dict(sorted(self.events[slug].items())),
                    "effects": dict(sorted(self.effects[slug].items())),
                }
                for slug, tally in self.tallies.items()
            },
            "skipped_rows": self.skipped_rows,
            "lines": {
                "logged": counted.logged,
                "published": counted.published,
                "handled": counted.handled,
                "lost": counted.lost,
                "doubled": counted.doubled,
                "dead": counted.dead,
            },
            "latency_ms": {"same_locality": self.same_locality.as_json(), "cross_locality": self.cross_locality.as_json()},
            "seconds": round(self.seconds, 3),
        }

    def shown(self) -> RenderableType:
        """For people."""
        columns = ["locality", ">readings", ">kept", ">flagged", ">duplicate", ">rejected", "events born here", "effects here"]
        rows = [
            [
                name_of(slug),
                *(f"{n:,}" for n in (tally.rows, tally.accepted, tally.flagged, tally.duplicate, tally.rejected)),
                _counted(self.events[slug]),
                _counted(self.effects[slug]),
            ]
            for slug, tally in self.tallies.items()
        ]
        return Group(table(columns, rows), "", *self._lines())

    def _lines(self) -> list[RenderableType]:
        counted = self.recount
        said = Text(f"{counted.logged:,} events logged, {counted.published:,} published, {counted.handled:,} handled: ")
        verdict = f"{counted.lost} lost, {counted.doubled} doubled, {counted.dead} dead"
        said.append(verdict, "bold green" if self.sound else "bold red")
        near, far = self.same_locality, self.cross_locality
        times = Text(f"From event to effect: {_ms(near)} in the same locality, {_ms(far)} across a border")
        return [said, times]


def of(snapshot: Snapshot, tallies: dict[str, Tally], skipped_rows: int, since: datetime, seconds: float) -> Report:
    """Makes the report; `since` is when the run began, by the clock the services share with us."""
    recent = {
        (service.locality, service.service): [effect for effect in service.effects if effect.committed_at >= since]
        for service in snapshot.services
    }
    events = {slug: Counter[str]() for slug in tallies}
    for log in snapshot.logs:
        if log.name == "events" and log.service != _EXCHANGE:
            events[log.locality].update(short(entry.type) for entry in log.entries if entry.type and entry.at >= since)
    effects = {slug: Counter[str]() for slug in tallies}
    for (slug, _), found in recent.items():
        for effect in found:
            effects[slug].update(effect.committed)
    sectors = [(slug, effect) for (slug, name), found in recent.items() if name != _EXCHANGE for effect in found]
    return Report(
        tallies=tallies,
        events=events,
        effects=effects,
        skipped_rows=skipped_rows,
        recount=recount(snapshot),
        same_locality=Latency.of([effect for slug, effect in sectors if _origin(effect) == slug]),
        cross_locality=Latency.of([effect for slug, effect in sectors if _origin(effect) != slug]),
        seconds=seconds,
    )


def percentile(ordered: list[float], percent: int) -> float | None:
    """Nearest-rank percentile of ordered values; None without any.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 50)
    2.0
    """
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)], 3)


def _origin(effect: EffectRecord) -> str:
    return effect.line.split("/")[0]


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common()) or "–"


def _ms(latency: Latency) -> str:
    if latency.p50_ms is None:
        return "none"
    return f"{latency.p50_ms:,.0f} ms (median), {latency.p99_ms:,.0f} ms (99 %)"
