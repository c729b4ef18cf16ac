"""What becomes of a batch of readings: accepted, duplicate or rejected, row by row.

However many rows there are, the store is asked four times. What a reading decides depends on its station's watch, a
document with a known id: two batches for one station cannot both be committed on the same knowledge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lienthong.environment import v1
from mesh.errors import NotFound, Violation
from mesh.store import Documents
from mesh.validation import check_row
from services.environment.documents import Reading, Station, Watch, reading_id
from services.environment.hours import HOUR_MS
from services.environment.loading import load_hours, save_hours
from services.environment.messages import conditions_of, measured_by, to_ms
from services.environment.reading_quality import Sound, Verdict, judge
from services.environment.settings import EnvironmentSettings


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that is not rejected."""

    id: str
    at_ms: int
    reading: v1.Reading

    @property
    def hour(self) -> int:
        return self.at_ms // HOUR_MS


@dataclass(slots=True)
class Intake:
    """Takes one batch in."""

    store: Documents
    emit: Callable[[Any], None]
    settings: EnvironmentSettings
    now_ms: int
    outcome: v1.ReadingsOutcome = field(default_factory=v1.ReadingsOutcome)

    def record(self, readings: Sequence[v1.Reading]) -> v1.ReadingsOutcome:
        """Keeps what is good of a batch. Raises NotFound where every row is of an unregistered station."""
        self.outcome.rows = len(readings)
        rows = self._fresh(list(self._sift(readings)))
        watches = self._watches(rows)
        reported = {id: {row.hour for row in of_station} for id, of_station in rows.items()}
        for book in load_hours(self.store, self.emit, self.settings, watches, reported):
            for row in rows[book.watch.id]:
                book.add(row.hour, self._accept(row, book.watch))
            book.settle(self.now_ms)
            save_hours(self.store, book)
        return self.outcome

    def _sift(self, readings: Sequence[v1.Reading]) -> Iterator[_Row]:
        """Rows that are not rejected."""
        stations = self.store.get_many(Station, {reading.station_id for reading in readings})
        for index, reading in enumerate(readings):
            violation = self._violation(reading, stations)
            if violation:
                self.outcome.rejected.add(index=index, field=violation.field, rule=violation.rule)
                continue
            at_ms = to_ms(reading.observed_at)
            yield _Row(reading_id(reading.station_id, at_ms), at_ms, reading)
        if readings and sum(row.rule == NotFound.reason for row in self.outcome.rejected) == len(readings):
            raise NotFound("station", readings[0].station_id)

    def _violation(self, reading: v1.Reading, stations: dict[str, Station]) -> Violation | None:
        violations = check_row(reading)
        if violations:
            return violations[0]
        if to_ms(reading.observed_at) > self.now_ms + 1000 * self.settings.clock_tolerance_s:
            return Violation("observed_at", "not_in_future", "must not be ahead of the clock")
        if reading.station_id not in stations:
            return Violation("station_id", NotFound.reason, "must be registered")
        return None

    def _fresh(self, rows: Sequence[_Row]) -> dict[str, list[_Row]]:
        """Rows not known yet, by station; the others are duplicates."""
        seen = set(self.store.get_many(Reading, [row.id for row in rows]))
        fresh: dict[str, list[_Row]] = {}
        for row in rows:
            if row.id in seen:
                self.outcome.duplicate += 1
                continue
            seen.add(row.id)
            fresh.setdefault(row.reading.station_id, []).append(row)
        return fresh

    def _watches(self, ids: Iterable[str]) -> list[Watch]:
        known = self.store.get_many(Watch, ids)
        return [known.get(id) or Watch(id=id) for id in ids]

    def _accept(self, row: _Row, watch: Watch) -> Verdict:
        """Keeps a reading and lets the watch remember it."""
        measured = measured_by(row.reading)
        sound = None if watch.sound_at_ms is None else Sound(watch.sound_at_ms, watch.sound_values)
        verdict = judge(measured, row.at_ms, watch.latest_distinct_ms, sound)
        self.store.put(
            Reading(
                id=row.id,
                station_id=watch.id,
                observed_at_ms=row.at_ms,
                received_at_ms=self.now_ms,
                measured=measured | conditions_of(row.reading),
                flags=" ".join(verdict.flags),
            )
        )
        self.outcome.accepted += 1
        self.outcome.flagged += bool(verdict.flags)
        _remember(watch, row.at_ms, verdict)
        return verdict


def _remember(watch: Watch, at_ms: int, verdict: Verdict) -> None:
    if not verdict.is_repeat and _is_later(at_ms, watch.latest_distinct_ms):
        watch.latest_distinct_ms = at_ms
    if verdict.is_sound and _is_later(at_ms, watch.sound_at_ms):
        watch.sound_at_ms, watch.sound_values = at_ms, verdict.values


def _is_later(at_ms: int, than_ms: int | None) -> bool:
    return than_ms is None or at_ms > than_ms
