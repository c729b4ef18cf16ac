"""What becomes of a batch of congestion samples: accepted, duplicate or rejected, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from lienthong.transport import v1
from mesh import localities
from mesh.errors import NotFound, Violation
from mesh.store import Documents
from mesh.times import to_ms
from mesh.validation import check_row
from services.transport.documents import CongestionSample, RoadSegment, congestion_id
from services.transport.settings import TransportSettings

HOUR_MS: Final = 3_600_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class CongestionIntake:
    """Takes one batch in. However many rows there are, the store is asked twice."""

    store: Documents
    settings: TransportSettings
    here: str
    now_ms: int
    outcome: v1.CongestionOutcome = field(default_factory=v1.CongestionOutcome)

    def record(self, samples: Sequence[v1.Congestion]) -> v1.CongestionOutcome:
        """Keeps what is good of a batch."""
        self.outcome.rows = len(samples)
        documents = [_document(sample) for sample in self._sift(samples)]
        seen = set(self.store.get_many(CongestionSample, [document.id for document in documents]))
        for document in documents:
            if document.id in seen:
                self.outcome.duplicate += 1
                continue
            seen.add(document.id)
            self.store.put(document)
            self.outcome.accepted += 1
        return self.outcome

    def _sift(self, samples: Sequence[v1.Congestion]) -> list[v1.Congestion]:
        """Rows that are not rejected."""
        segments = self.store.get_many(RoadSegment, {sample.segment_id for sample in samples if sample.segment_id})
        good = []
        for index, sample in enumerate(samples):
            violation = self._violation(sample, segments)
            if violation:
                self.outcome.rejected.add(index=index, field=violation.field, rule=violation.rule)
            else:
                good.append(sample)
        return good

    def _violation(self, sample: v1.Congestion, segments: dict[str, RoadSegment]) -> Violation | None:
        if violations := check_row(sample):
            return violations[0]
        if sample.hour.ToNanoseconds() % (HOUR_MS * 1_000_000):
            return Violation("hour", "start_of_hour", "must be the start of an hour")
        if to_ms(sample.hour) > self.now_ms + 1000 * self.settings.clock_tolerance_s:
            return Violation("hour", "not_in_future", "must not be ahead of the clock")
        if slug_of(sample.province_code) != self.here:
            return Violation("province_code", "other_locality", "must be of this locality")
        if sample.segment_id and sample.segment_id not in segments:
            return Violation("segment_id", NotFound.reason, "must exist")
        return None


def slug_of(province_code: str) -> str:
    """Locality that a code of today, or of before 1 July 2025, counts for; empty when it is none."""
    for resolve in (localities.of_legacy_code, localities.of_code):
        try:
            return resolve(province_code).slug
        except KeyError:
            continue
    return ""


def hour_text(hour: int) -> str:
    """Start of an hour, sortable."""
    return (_EPOCH + timedelta(hours=hour)).isoformat(timespec="hours")


def _document(sample: v1.Congestion) -> CongestionSample:
    hour = sample.hour.seconds // 3600
    text = hour_text(hour)
    return CongestionSample(
        id=congestion_id(sample.segment_id, sample.province_code, text),
        segment_id=sample.segment_id,
        province_code=sample.province_code,
        hour=hour,
        at=f"{text}|{sample.province_code}",
        congestion=sample.congestion,
        samples=sample.samples,
        coverage=sample.coverage,
    )
