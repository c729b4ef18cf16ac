"""What becomes of cases: filed here, and moved where they are decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from lienthong.administration import v1
from lienthong.administration.v1 import CASE_STATE_ACCEPTED, CASE_STATE_FILED, CASE_STATE_PROCESSED
from mesh.errors import FailedPrecondition, InvalidArgument
from mesh.localities import slugs
from mesh.store import Documents
from mesh.times import to_ms
from mesh.work import Emitter
from services.administration.agency_code import agency_code
from services.administration.case_clock import Deadline, Step, deadline_after, due_day, first_deadline, punctuality_of
from services.administration.case_code import next_case_code
from services.administration.case_messages import case_filed, case_moved
from services.administration.case_states import check_move
from services.administration.documents import Case, Move, case_id
from services.administration.procedures import procedure_code, procedure_of
from services.administration.statistics import recount, tally
from services.administration.times import local_day

# A case code tells the year with two digits.
_FIRST_MS: Final = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases of one locality, at one moment."""

    store: Documents
    emit: Emitter
    here: str
    now_ms: int
    clock_tolerance_ms: int

    def file(self, request: v1.FileCaseRequest) -> Case:
        """Keeps a case that is filed here, whoever decides it."""
        procedure = procedure_code(request.procedure_code)
        if procedure_of(procedure) is None:
            raise InvalidArgument.field("procedure_code", "must be a procedure known here", rule="procedure")
        received_by = agency_code(request.received_by, "received_by")
        filed_at_ms = self._filed_at_ms(request)
        code = self._new_code(received_by, filed_at_ms)
        case = Case(
            id=case_id(code),
            code=code,
            procedure_code=procedure,
            channel=request.channel,
            received_by=received_by,
            agency_code=agency_code(request.agency_code, "agency_code"),
            filed_in=self.here,
            decided_in=self._decided_in(request),
            applicant_ref=request.applicant_ref,
            state=CASE_STATE_FILED,
            filed_at_ms=filed_at_ms,
        )
        self.store.put(case)
        self.emit(case_filed(case))
        return case

    def move(self, id: str, to_state: int) -> Case:
        """Moves a case that is decided here."""
        case = self.store.require(Case, id, "case")
        if case.decided_in != self.here:
            raise FailedPrecondition(f"this case is decided in {case.decided_in}, and moved only there")
        check_move(case.state, to_state)
        before = tally(case)
        self._wind(case, to_state)
        case.moves.append(
            Move(number=len(case.moves) + 1, from_state=case.state, to_state=to_state, moved_at_ms=self.now_ms)
        )
        case.state = to_state
        self.store.put(case)
        recount(self.store, case.agency_code, before, tally(case))
        self.emit(case_moved(case))
        return case

    def _wind(self, case: Case, to_state: int) -> None:
        """Lets the clock of a case follow a move that is not made yet."""
        today = local_day(self.now_ms)
        deadline = _deadline_after(case, to_state, today)
        if deadline is None:
            return
        case.deadline_day, case.paused_working_days = deadline.day.isoformat(), deadline.paused_working_days
        case.due_day = day_text(due_day(to_state, deadline.day, today))
        if to_state == CASE_STATE_PROCESSED:
            case.punctuality = punctuality_of(today, deadline.day)

    def _new_code(self, received_by: str, filed_at_ms: int) -> str:
        """The next code that no case has, not even one a peer opened here."""
        code = next_case_code(self.store, received_by, filed_at_ms)
        while self.store.get(Case, case_id(code)) is not None:
            code = next_case_code(self.store, received_by, filed_at_ms)
        return code

    def _filed_at_ms(self, request: v1.FileCaseRequest) -> int:
        if not request.HasField("filed_at"):
            return self.now_ms
        at_ms = to_ms(request.filed_at)
        if not _FIRST_MS <= at_ms <= self.now_ms + self.clock_tolerance_ms:
            raise InvalidArgument.field("filed_at", "must be from 2000 on and not in the future", rule="range")
        return at_ms

    def _decided_in(self, request: v1.FileCaseRequest) -> str:
        slug = request.decided_in or self.here
        if slug not in slugs():
            raise InvalidArgument.field("decided_in", "must be the slug of a locality, as da-nang", rule="locality")
        return slug


def day_text(day: date | None) -> str:
    """A day as it is kept; empty when there is none."""
    return "" if day is None else day.isoformat()


def _deadline_after(case: Case, to_state: int, today: date) -> Deadline | None:
    if to_state == CASE_STATE_ACCEPTED:
        return first_deadline(today, _working_days(case))
    if not case.deadline_day:
        return None
    deadline = Deadline(date.fromisoformat(case.deadline_day), case.paused_working_days)
    return deadline_after(deadline, Step(case.state, to_state, since=local_day(case.changed_at_ms), today=today))


def _working_days(case: Case) -> int:
    procedure = procedure_of(case.procedure_code)
    if procedure is None:  # a peer knows one that this locality does not
        raise FailedPrecondition(
            f"how long procedure {case.procedure_code} may take is not known: "
            "add it to services/administration/procedures.csv"
        )
    return procedure.working_days
