"""What becomes of a batch of stages: accepted, duplicate or rejected, row by row.

However many rows there are, the store is asked three times. What a stage decides depends on its station's watch, a
document with a known id: two batches for one station cannot both be committed on the same knowledge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lienthong.environment import v1
from mesh.errors import NotFound, Violation
from mesh.store import Documents
from mesh.times import to_ms
from mesh.validation import check_row
from services.environment.documents_water import FloodWatch, StageRecord, WaterStation, stage_id
from services.environment.flood_watch import follow_stage
from services.environment.settings import EnvironmentSettings
from services.environment.stage_quality import Flag, Reference, Seen, judge
from services.environment.water_messages import to_mm


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that is not rejected."""

    id: str
    station_id: str
    seen: Seen


@dataclass(slots=True)
class StageIntake:
    """Takes one batch in."""

    store: Documents
    emit: Callable[[Any], None]
    settings: EnvironmentSettings
    now_ms: int
    outcome: v1.StagesOutcome = field(default_factory=v1.StagesOutcome)
    stations: dict[str, WaterStation] = field(default_factory=dict)
    """Those the batch names."""

    def record(self, stages: Sequence[v1.Stage]) -> v1.StagesOutcome:
        """Keeps what is good of a batch. Raises NotFound where every row is of an unregistered station."""
        self.outcome.rows = len(stages)
        self.stations = self.store.get_many(WaterStation, {stage.station_id for stage in stages})
        rows = self._fresh(list(self._sift(stages)))
        watches = self.store.get_many(FloodWatch, rows)
        for station_id, of_station in rows.items():
            watch = watches.get(station_id) or FloodWatch(id=station_id)
            for row in sorted(of_station, key=lambda row: row.seen.at_ms):
                self._accept(row, watch)
            self.store.put(watch)
        return self.outcome

    def _sift(self, stages: Sequence[v1.Stage]) -> Iterator[_Row]:
        """Rows that are not rejected."""
        for index, stage in enumerate(stages):
            if violation := self._violation(stage):
                self.outcome.rejected.add(index=index, field=violation.field, rule=violation.rule)
                continue
            seen = Seen(to_ms(stage.observed_at), to_mm(stage.stage_m))
            yield _Row(stage_id(stage.station_id, seen.at_ms), stage.station_id, seen)
        if stages and sum(row.rule == NotFound.reason for row in self.outcome.rejected) == len(stages):
            raise NotFound("water station", stages[0].station_id)

    def _violation(self, stage: v1.Stage) -> Violation | None:
        if violations := check_row(stage):
            return violations[0]
        if to_ms(stage.observed_at) > self.now_ms + 1000 * self.settings.clock_tolerance_s:
            return Violation("observed_at", "not_in_future", "must not be ahead of the clock")
        if stage.station_id not in self.stations:
            return Violation("station_id", NotFound.reason, "must be registered")
        return None

    def _fresh(self, rows: Sequence[_Row]) -> dict[str, list[_Row]]:
        """Rows not known yet, by station; the others are duplicates."""
        seen = set(self.store.get_many(StageRecord, [row.id for row in rows]))
        fresh: dict[str, list[_Row]] = {}
        for row in rows:
            if row.id in seen:
                self.outcome.duplicate += 1
                continue
            seen.add(row.id)
            fresh.setdefault(row.station_id, []).append(row)
        return fresh

    def _accept(self, row: _Row, watch: FloodWatch) -> None:
        """Keeps a stage; a sound one moves the alarm."""
        station = self.stations[row.station_id]
        flag, reference = judge(row.seen, _reference_of(watch), station.rate_mm_per_h)
        self.store.put(self._record_of(row, flag))
        self.outcome.accepted += 1
        self.outcome.flagged += flag is not None
        _remember(watch, reference)
        if flag is None:
            follow_stage(watch, station, row.seen.stage_mm, row.seen.at_ms, self.emit)

    def _record_of(self, row: _Row, flag: Flag | None) -> StageRecord:
        return StageRecord(
            id=row.id,
            station_id=row.station_id,
            observed_at_ms=row.seen.at_ms,
            received_at_ms=self.now_ms,
            stage_mm=row.seen.stage_mm,
            flag=int(flag or 0),
        )


def _reference_of(watch: FloodWatch) -> Reference:
    if watch.sound_at_ms is None:
        return Reference()
    jumps = tuple(Seen(int(at_ms), stage_mm) for at_ms, stage_mm in watch.jumps.items())
    return Reference(Seen(watch.sound_at_ms, watch.sound_mm), jumps)


def _remember(watch: FloodWatch, reference: Reference) -> None:
    assert reference.sound is not None, "the first stage of a station is sound"
    watch.sound_at_ms, watch.sound_mm = reference.sound
    watch.jumps = {str(jump.at_ms): jump.stage_mm for jump in reference.jumps}
