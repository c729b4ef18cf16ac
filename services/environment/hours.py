"""When an hour closes, what it then says, and what a late reading changes.

`StationHours` holds one station's watch and the hours that matter to a call; it neither reads nor writes a store.
Use: say which hours come (`needed_hours`), fill `hours`, `add` the readings, `settle` or `close`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from services.environment import air_quality_alert as alerts
from services.environment.air_quality_alert import AlertState, Transition
from services.environment.documents import NEVER_MS, Hour, Station, Watch, hour_id
from services.environment.dust_level import level_of, without_past
from services.environment.messages import alert_changed, hour_recorded, means_of, published_index
from services.environment.reading_quality import Verdict
from services.environment.settings import EnvironmentSettings
from services.environment.vn_aqi import NOWCAST_HOURS, PARTICLES, Index, Means, hourly_index

HOUR_MS = 3_600_000
_BEFORE = NOWCAST_HOURS - 1


def needed_hours(watch: Watch, reported: Iterable[int]) -> set[int]:
    """Hours whose documents a call needs that brings readings of the `reported` hours."""
    needed = set(reported)
    if watch.has_open_hour:
        needed.add(watch.latest_hour)
    closed = watch.latest_closed_hour
    for hour in [hour for hour in needed if closed is not None and hour <= closed]:
        last = closed if _may_correct_alert(hour, closed) else min(closed, hour + _BEFORE)
        needed.update(range(hour - _BEFORE, last + 1))
    return needed


def _may_correct_alert(hour: int, latest_closed: int) -> bool:
    return hour >= latest_closed - alerts.CORRECTION_HOURS


@dataclass(slots=True)
class StationHours:
    """One station's hours during one call."""

    station: Station
    watch: Watch
    settings: EnvironmentSettings
    emit: Callable[[Any], None]
    hours: dict[int, Hour] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)
    """Hours to be written."""
    changed: set[int] = field(default_factory=set)
    """Hours whose means changed."""
    _means: dict[int, Means] = field(default_factory=dict)
    """Means of the hours, once all readings are in."""

    def add(self, hour: int, moments_ms: Iterable[int], verdicts: Collection[Verdict]) -> None:
        """Adds accepted readings to their hour."""
        document = self.hours.get(hour)
        if document is None:
            document = self.hours[hour] = Hour(id=hour_id(self.station.id, hour), station_id=self.station.id, hour=hour)
        self.touched.add(hour)
        start_ms = hour * HOUR_MS
        document.heard.update([at_ms - start_ms for at_ms in moments_ms])
        document.flagged += sum(bool(verdict.flags) for verdict in verdicts)
        values = [verdict.values for verdict in verdicts if verdict.values]
        if values:
            self.changed.add(hour)
            document.add(values)

    def settle(self, received_ms: int) -> None:
        """Closes and corrects what the added readings close and correct."""
        watch, latest = self.watch, max(self.touched)
        watch.received_at_ms = received_ms
        if watch.latest_hour is None or latest > watch.latest_hour:
            watch.latest_hour, watch.has_open_hour = latest, True
        self._correct()
        self._close([hour for hour in self._unrecorded() if hour < watch.latest_hour])
        self._set_due()

    def close(self) -> None:
        """Closes the open hour."""
        self.watch.has_open_hour = False
        self._close(self._unrecorded())
        self._set_due()

    def tick(self, now_ms: int) -> None:
        """Does what the clock has made due."""
        if self.watch.has_open_hour and now_ms >= self._closes_at_ms():
            self.close()
        if now_ms >= self._silent_at_ms():
            state, lifted = alerts.lift_silent(self._published())
            self._publish(state, [lifted])
            self.watch.silent = True
        self._set_due()

    def _unrecorded(self) -> list[int]:
        return sorted(hour for hour, document in self.hours.items() if document.revision == 0)

    def _correct(self) -> None:
        """Records again what late readings changed, then folds the alert again."""
        latest = self.watch.latest_closed_hour
        if latest is None:
            return
        born = {hour for hour in self._unrecorded() if hour <= latest}
        late = {hour for hour in self.changed if hour <= latest} | born
        if not late:
            return
        for hour in sorted(hour for hour in self.hours if hour <= latest):
            affected = any(0 < hour - cause <= _BEFORE for cause in late)
            if hour in late or (affected and self._index_of(hour) != published_index(self.hours[hour])):
                self._record(hour)
        correcting = [hour for hour in late if _may_correct_alert(hour, latest)]
        if correcting:
            self._fold_again(min(correcting), latest)

    def _fold_again(self, first: int, latest: int) -> None:
        before = [h for h in self.hours if first - _BEFORE <= h < first and self.hours[h].alert]
        state = AlertState(**self.hours[max(before)].alert) if before else AlertState()
        for hour in sorted(hour for hour in self.hours if first <= hour <= latest):
            state, _ = alerts.step(state, hour, published_index(self.hours[hour]), self._level_of(hour))
            self._remember(hour, state)
        published = self._published()
        if self.watch.silent and state.active and state.last_index_hour == published.last_index_hour:
            state, _ = alerts.lift_silent(state)
        state, transitions = alerts.correct(published, state, latest, published_index(self.hours[latest]))
        self.watch.silent = self.watch.silent and not state.active
        self._remember(latest, state)
        self._publish(state, transitions)

    def _close(self, hours: Iterable[int]) -> None:
        for hour in hours:
            self._record(hour)
            index, level = published_index(self.hours[hour]), self._level_of(hour)
            state, transitions = alerts.step(self._published(), hour, index, level)
            self._remember(hour, state)
            self._publish(state, transitions)
            self.watch.latest_closed_hour = hour
            self.watch.silent = False

    def _record(self, hour: int) -> None:
        """Publishes an hour, for the first time or again."""
        document = self.hours[hour]
        index = self._index_of(hour)
        document.index, document.pollutant = (index.value, str(index.pollutant)) if index else (None, None)
        document.revision += 1
        if document.alert_level is None:
            document.alert_level = level_of(hour, self.watch.dust, self.settings.alert_index)
        self.touched.add(hour)
        self._keep_particles(hour)
        self.emit(hour_recorded(self.station, document))

    def _level_of(self, hour: int) -> int:
        """The level an hour was closed with; hours from before levels were kept had the usual one."""
        kept: int | None = self.hours[hour].alert_level
        return self.settings.alert_index if kept is None else kept

    def _index_of(self, hour: int) -> Index | None:
        return hourly_index([self._means_of(hour), *(self._particles(hour - i) for i in range(1, NOWCAST_HOURS))])

    def _means_of(self, hour: int) -> Means:
        if hour not in self._means:
            self._means[hour] = means_of(self.hours[hour])
        return self._means[hour]

    def _particles(self, hour: int) -> Means:
        """Means of an hour before, from its document or from what the watch kept of it."""
        if hour in self.hours:
            return self._means_of(hour)
        kept = self.watch.particles.get(str(hour), ())
        return {p: mean for p, mean in zip(PARTICLES, kept, strict=False) if mean is not None}

    def _keep_particles(self, hour: int) -> None:
        means = self._means_of(hour)
        particles = self.watch.particles | {str(hour): [means.get(p) for p in PARTICLES]}
        oldest = max(map(int, particles)) - _BEFORE + 1
        self.watch.particles = {name: kept for name, kept in particles.items() if int(name) >= oldest}

    def _published(self) -> AlertState:
        return AlertState(**self.watch.alert)

    def _remember(self, hour: int, state: AlertState) -> None:
        self.hours[hour].alert = state.as_dict()
        self.touched.add(hour)

    def _publish(self, state: AlertState, transitions: Iterable[Transition]) -> None:
        self.watch.alert = state.as_dict()
        for transition in transitions:
            self.emit(alert_changed(self.station, transition))

    def _set_due(self) -> None:
        if self.watch.dust and self.watch.latest_closed_hour is not None:
            self.watch.dust = without_past(self.watch.dust, self.watch.latest_closed_hour)
        closes = self._closes_at_ms() if self.watch.has_open_hour else NEVER_MS
        self.watch.due_at_ms = min(closes, self._silent_at_ms())

    def _closes_at_ms(self) -> int:
        end = (self.watch.latest_hour + 1) * HOUR_MS
        return max(end, self.watch.received_at_ms) + self._delay_ms()

    def _silent_at_ms(self) -> int:
        state = self._published()
        if not state.active or state.last_index_hour is None:
            return NEVER_MS
        end = (state.last_index_hour + 1 + alerts.SILENT_HOURS) * HOUR_MS
        return max(end, self.watch.received_at_ms + self._delay_ms())

    def _delay_ms(self) -> int:
        return int(self.settings.closing_delay_s * 1000)
