"""What becomes of a batch of readings: accepted, duplicate or rejected, row by row.

However many rows there are, the store is asked three times, four where rows are late. What a reading decides depends on
its station's watch and on its hour, documents with known ids: two batches for one station cannot both be committed on
the same knowledge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lienthong.environment import v1
from mesh.errors import NotFound, Violation
from mesh.store import Documents
from mesh.times import to_ms
from mesh.validation import check_row
from services.environment.documents import Readings, Station, Watch, readings_id
from services.environment.hours import HOUR_MS, StationHours
from services.environment.loading import load_heard, load_hours, save_hours
from services.environment.messages import conditions_of, measured_by
from services.environment.reading_quality import Judge, Sound, Verdict
from services.environment.settings import EnvironmentSettings

_Rows = dict[str, list[tuple[int, v1.Reading]]]
"""Readings with their moments in Unix milliseconds, by station, in the order they came."""


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
        rows = self._sift(readings)
        known = self.store.get_many(Watch, rows)
        watches = {id: known.get(id) or Watch(id=id) for id in rows}
        fresh = self._fresh(rows, watches)
        loaded = [watches[id] for id in fresh]
        for book in load_hours(self.store, self.emit, self.settings, loaded, _hours_of(fresh)):
            self._accept(fresh[book.watch.id], book)
            book.settle(self.now_ms)
            save_hours(self.store, book)
        return self.outcome

    def _sift(self, readings: Sequence[v1.Reading]) -> _Rows:
        """Rows that are not rejected."""
        stations = self.store.get_many(Station, {reading.station_id for reading in readings})
        latest_ms = self.now_ms + 1000 * self.settings.clock_tolerance_s
        rows: _Rows = {}
        for index, reading in enumerate(readings):
            id, at_ms = reading.station_id, to_ms(reading.observed_at)
            violation = _violation(reading, at_ms > latest_ms, id in stations)
            if violation:
                self.outcome.rejected.add(index=index, field=violation.field, rule=violation.rule)
            elif id in rows:
                rows[id].append((at_ms, reading))
            else:
                rows[id] = [(at_ms, reading)]
        if readings and sum(row.rule == NotFound.reason for row in self.outcome.rejected) == len(readings):
            raise NotFound("station", readings[0].station_id)
        return rows

    def _fresh(self, rows: _Rows, watches: Mapping[str, Watch]) -> _Rows:
        """Rows of moments not heard of yet; the others are duplicates."""
        hours = load_heard(self.store, watches, _hours_of(rows))
        fresh: _Rows = {}
        for id, of_station in rows.items():
            heard = {hour * HOUR_MS + ms for hour, found in hours[id].items() for ms in found.heard}
            for row in of_station:
                if row[0] in heard:
                    self.outcome.duplicate += 1
                else:
                    heard.add(row[0])
                    fresh.setdefault(id, []).append(row)
        return fresh

    def _accept(self, rows: Sequence[tuple[int, v1.Reading]], book: StationHours) -> None:
        """Judges and keeps readings of one station, and lets its watch remember them."""
        watch = book.watch
        sound = None if watch.sound_at_ms is None else Sound(watch.sound_at_ms, watch.sound_values)
        judge = Judge(watch.latest_distinct_ms, sound)
        verdicts: dict[int, list[Verdict]] = defaultdict(list)
        kept: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for at_ms, reading in rows:
            measured, conditions = measured_by(reading), conditions_of(reading)
            verdict = judge.hear(measured, at_ms)
            verdicts[at_ms // HOUR_MS].append(verdict)
            kept[at_ms // HOUR_MS].append(_row(at_ms, measured, conditions, verdict))
        for hour, of_hour in kept.items():
            book.add(hour, [row["observed_at_ms"] for row in of_hour], verdicts[hour])
            self._keep(watch.id, of_hour)
        watch.latest_distinct_ms = judge.latest_distinct_ms
        if judge.latest_sound is not None:
            watch.sound_at_ms, watch.sound_values = judge.latest_sound.at_ms, judge.latest_sound.values
        self.outcome.accepted += len(rows)
        self.outcome.flagged += sum(bool(verdict.flags) for of_hour in verdicts.values() for verdict in of_hour)

    def _keep(self, station_id: str, rows: list[dict[str, Any]]) -> None:
        id = readings_id(station_id, rows[0]["observed_at_ms"])
        self.store.put(Readings(id=id, station_id=station_id, received_at_ms=self.now_ms, rows=rows))


def _hours_of(rows: _Rows) -> dict[str, set[int]]:
    return {id: {at_ms // HOUR_MS for at_ms, _ in of_station} for id, of_station in rows.items()}


def _violation(reading: v1.Reading, is_ahead: bool, is_registered: bool) -> Violation | None:
    violations = check_row(reading)
    if violations:
        return violations[0]
    if is_ahead:
        return Violation("observed_at", "not_in_future", "must not be ahead of the clock")
    if not is_registered:
        return Violation("station_id", NotFound.reason, "must be registered")
    return None


def _row(at_ms: int, measured: dict[str, float], conditions: dict[str, float], verdict: Verdict) -> dict[str, Any]:
    """A reading as it is kept."""
    row = {"observed_at_ms": at_ms, **measured, **conditions}
    return row | {"flags": " ".join(verdict.flags)} if verdict.flags else row
