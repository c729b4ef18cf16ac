"""Cases as messages of the contract."""

from __future__ import annotations

from datetime import date

from lienthong.administration import v1
from lienthong.administration.v1 import CASE_STATE_ACCEPTED, CASE_STATE_PROCESSED, PUNCTUALITY_LATE
from mesh.times import timestamp
from services.administration.case_states import Clock, clock_of
from services.administration.documents import Case


def case_summary(case: Case, today: date) -> v1.Case:
    """A case as lists show it: without its moves and the applicant."""
    return v1.Case(
        id=case.id,
        code=case.code,
        procedure_code=case.procedure_code,
        channel=case.channel,
        received_by=case.received_by,
        agency_code=case.agency_code,
        filed_in=case.filed_in,
        decided_in=case.decided_in,
        state=case.state,
        filed_at=timestamp(case.filed_at_ms),
        accepted_at=timestamp(case.became(CASE_STATE_ACCEPTED)),
        deadline_day=case.deadline_day,
        paused=clock_of(case.state) is Clock.STANDS,
        paused_working_days=case.paused_working_days,
        processed_at=timestamp(case.became(CASE_STATE_PROCESSED)),
        punctuality=PUNCTUALITY_LATE if is_overdue(case, today) else case.punctuality,
        changed_at=timestamp(case.changed_at_ms),
    )


def case_message(case: Case, today: date) -> v1.Case:
    """A case with its moves, without the applicant: answers of writes are kept."""
    message = case_summary(case, today)
    message.moves.extend(
        v1.CaseMove(from_state=move.from_state, to_state=move.to_state, moved_at=timestamp(move.moved_at_ms))
        for move in case.moves
    )
    return message


def case_with_applicant(case: Case, today: date) -> v1.Case:
    """A case as one who asks for this one sees it."""
    message = case_message(case, today)
    message.applicant_ref = case.applicant_ref
    return message


def is_overdue(case: Case, today: date) -> bool:
    """Whether a case is not processed though its deadline is over."""
    return bool(case.due_day) and case.due_day < today.isoformat()


def case_filed(case: Case) -> v1.CaseFiled:
    """The event of a case that was filed."""
    return v1.CaseFiled(
        case_id=case.id,
        case_code=case.code,
        procedure_code=case.procedure_code,
        channel=case.channel,
        received_by=case.received_by,
        agency_code=case.agency_code,
        filed_in=case.filed_in,
        decided_in=case.decided_in,
        filed_at=timestamp(case.filed_at_ms),
    )


def case_moved(case: Case) -> v1.CaseMoved:
    """The event of the last move of a case."""
    move = case.moves[-1]
    return v1.CaseMoved(
        case_id=case.id,
        case_code=case.code,
        filed_in=case.filed_in,
        decided_in=case.decided_in,
        from_state=move.from_state,
        to_state=move.to_state,
        moved_at=timestamp(move.moved_at_ms),
        deadline_day=case.deadline_day,
        paused_working_days=case.paused_working_days,
        punctuality=case.punctuality,
        moves=move.number,
    )
