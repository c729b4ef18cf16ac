"""The cases of one locality without I/O."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

from nameko.testing.services import worker_factory

from lienthong.administration import v1
from mesh.testing import ManualClock, MemoryStore, RecordingEmit
from services.administration.service import AdministrationService
from services.administration.settings import AdministrationSettings

LOCAL = timezone(timedelta(hours=7))
TEMPORARY_RESIDENCE = "1.004194"
"""May take 3 working days."""
AGENCY = "H17.01"

FILED, ACCEPTED, NOT_ACCEPTED, IN_PROCESS, MORE_PAPERS, FEE, WITHDRAWN, STOPPED, PROCESSED, RETURNED = range(1, 11)
"""States by the numbers of the national portal."""


@dataclass
class CaseDesk:
    """Short ways to ask for what is done with cases."""

    service: Any
    emitted: RecordingEmit
    clock: ManualClock
    store: MemoryStore
    requests: Iterator[int] = field(default_factory=itertools.count)

    def file(self, **given: Any) -> v1.Case:
        """Files a case today, to be decided here by the agency that receives it."""
        wanted = {"procedure_code": TEMPORARY_RESIDENCE, "channel": v1.CHANNEL_ONLINE, "applicant_ref": "applicant-7"}
        wanted |= {"received_by": AGENCY, "agency_code": AGENCY, **given}
        return self.service.file_case(v1.FileCaseRequest(request_id=self._id(), **wanted)).case

    def move(self, case: v1.Case, *states: int) -> v1.Case:
        """Moves a case through some states, all today."""
        for state in states:
            request = v1.MoveCaseRequest(request_id=self._id(), case_id=case.id, to_state=state)
            case = self.service.move_case(request).case
        return case

    def case(self, id: str) -> v1.Case:
        return self.service.get_case(v1.GetCaseRequest(case_id=id)).case

    def codes(self, **filters: Any) -> list[str]:
        """Codes of the listed cases."""
        return [case.code for case in self.service.list_cases(v1.ListCasesRequest(**filters)).cases]

    def statistics(self, first: str = "2026-11-01", last: str = "2026-11-30", **given: Any) -> Any:
        """How agencies met their deadlines in November."""
        request = v1.ListAgencyStatisticsRequest(from_day=first, until_day=last, **given)
        return self.service.list_agency_statistics(request)

    def on(self, day: str) -> CaseDesk:
        """Lets it be nine in the morning of a day."""
        self.clock.advance(datetime.combine(date.fromisoformat(day), time(9), LOCAL) - self.clock.now())
        return self

    def _id(self) -> str:
        return f"request-{next(self.requests)}"


def new_case_desk(here: str = "da-nang") -> CaseDesk:
    """A desk on Monday, 9 November 2026; no holiday is near but the 24th."""
    store, emitted, clock = MemoryStore(), RecordingEmit(), ManualClock(datetime(2026, 11, 9, 2, tzinfo=UTC))
    settings = AdministrationSettings()
    service = worker_factory(
        AdministrationService, store=store, emit=emitted, clock=clock, here=here, settings=settings
    )
    return CaseDesk(service, emitted, clock, store)
