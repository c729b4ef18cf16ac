"""The report of a run: what came in, what it brought about where, how fast, and whether anything went amiss.

Readings, events, effects and latencies are of this run; the lines are a recount of everything the logs hold.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mesh.cli.feed import Tally
from mesh.cli.output import name_of, short, table
from mesh.cli.records import EffectRecord, Snapshot
from mesh.cli.recount import Recount, recount
from mesh.identity import EXCHANGE

_INWARD: Final = "exchange.from."
"""What its subscriptions to other localities are called."""


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
    sector_effects: dict[str, Counter[str]]
    """The same without what exchanges do, which is part of the way."""
    crossings: dict[str, str]
    """Of each locality: events shared with others | admitted from others."""
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
            "latency_ms": {
                "same_locality": self.same_locality.as_json(),
                "cross_locality": self.cross_locality.as_json(),
            },
            "seconds": round(self.seconds, 3),
        }

    def shown(self) -> RenderableType:
        """For people."""
        return Group(
            rows_table("readings", self.tallies), *self._known_hint(), "", self._came_of_it(), "", *self._lines()
        )

    def _known_hint(self) -> list[RenderableType]:
        """Why there is little to see when a file is replayed again."""
        if not any(tally.duplicate for tally in self.tallies.values()) or any(
            tally.accepted for tally in self.tallies.values()
        ):
            return []
        return [
            "Every reading was known from an earlier run; `lienthong up --fresh` (make run FRESH=--fresh) begins anew."
        ]

    def _came_of_it(self) -> RenderableType:
        """Types down, localities across; an event that is another one's effect is among the events already."""
        born = [(kind, self.events) for kind in _kinds(self.events)]
        done = [(kind, self.sector_effects) for kind in _kinds(self.sector_effects) if kind not in _kinds(self.events)]
        rows = [[kind, *(f"{counts[slug][kind]:,}" for slug in self.tallies)] for kind, counts in born]
        rows += [["", *("" for _ in self.tallies)]] if rows and done else []
        rows += [[f"{kind} (effect)", *(f"{counts[slug][kind]:,}" for slug in self.tallies)] for kind, counts in done]
        rows.append(["events shared | admitted", *(f"{self.crossings[slug]}" for slug in self.tallies)])
        return table(["what came of it", *(f">{name_of(slug)}" for slug in self.tallies)], rows)

    def _lines(self) -> list[RenderableType]:
        counted = self.recount
        said = Text(f"{counted.logged:,} events logged, {counted.published:,} published, {counted.handled:,} handled: ")
        verdict = f"{counted.lost} lost, {counted.doubled} doubled, {counted.dead} dead"
        said.append(verdict, "bold green" if self.sound else "bold red")
        near, far = self.same_locality, self.cross_locality
        times = Text(f"Event to effect, median: {_ms(near)} in the same locality, {_ms(far)} across a border")
        return [said, times]


def of(snapshot: Snapshot, tallies: dict[str, Tally], skipped_rows: int, since: datetime, seconds: float) -> Report:
    """Makes the report; `since` is when the run began, by the clock the services share with us."""
    recent = {
        (service.locality, service.service): [effect for effect in service.effects if effect.committed_at >= since]
        for service in snapshot.services
    }
    events = {slug: Counter[str]() for slug in tallies}
    for log in snapshot.logs:
        if log.name == "events" and log.service != EXCHANGE:
            events[log.locality].update(short(entry.type) for entry in log.entries if entry.type and entry.at >= since)
    sector_effects = {slug: Counter[str]() for slug in tallies}
    border = {slug: Counter[str]() for slug in tallies}
    crossings = dict.fromkeys(tallies, "")
    for (slug, name), found in recent.items():
        for effect in found:
            (border if name == EXCHANGE else sector_effects)[slug].update(effect.committed)
        if name == EXCHANGE:
            admitted = sum(effect.subscription.startswith(_INWARD) for effect in found)
            crossings[slug] = f"{len(found) - admitted:,} | {admitted:,}"
    sectors = [(slug, effect) for (slug, name), found in recent.items() if name != EXCHANGE for effect in found]
    return Report(
        tallies=tallies,
        events=events,
        effects={slug: sector_effects[slug] + border[slug] for slug in tallies},
        sector_effects=sector_effects,
        crossings=crossings,
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


def _kinds(counts: dict[str, Counter[str]]) -> list[str]:
    """Types that occur, the most frequent first."""
    total: Counter[str] = sum(counts.values(), Counter())
    return [kind for kind, _ in total.most_common()]


def rows_table(what: str, tallies: dict[str, Tally]) -> Table:
    """What became of the rows, by locality."""
    columns = [what, ">rows", ">accepted", ">flagged", ">duplicate", ">rejected", "because of"]
    return table(
        columns,
        [
            [
                name_of(slug),
                *(f"{n:,}" for n in (tally.rows, tally.accepted, tally.flagged, tally.duplicate, tally.rejected)),
                ", ".join(f"{rule} {n:,}" for rule, n in tally.rejected_by_rule.most_common()) or "–",
            ]
            for slug, tally in tallies.items()
        ],
    )


def _ms(latency: Latency) -> str:
    if latency.p50_ms is None:
        return "none"
    return f"{latency.p50_ms:,.0f} ms (99 %: {latency.p99_ms:,.0f} ms)"
