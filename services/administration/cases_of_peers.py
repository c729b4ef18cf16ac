"""Cases that cross the border (Decree 118/2025/NĐ-CP): filed in one locality, decided in another.

The deciding locality opens the case under the same id and moves it; the locality of filing follows those moves.
An agreement carries the cases of all recipients, so what a peer says of a case that is not between it and this locality
is ignored.
"""

from __future__ import annotations

from datetime import date

from lienthong.administration.v1 import CASE_STATE_FILED, CaseFiled, CaseMoved
from mesh.errors import InvalidArgument
from mesh.events import Event
from mesh.store import Documents
from mesh.times import to_ms
from services.administration.case_clock import due_day
from services.administration.cases import day_text
from services.administration.documents import Case, Move, case_id
from services.administration.times import local_day


def open_case(store: Documents, filed: CaseFiled, event: Event, here: str) -> None:
    """Opens a case that a peer filed for this locality, unless it is open. The applicant stays with the peer."""
    if filed.decided_in != here or filed.filed_in != event.origin:
        return
    if filed.case_id != case_id(filed.case_code):
        raise InvalidArgument.field("case_id", "must be that of the case code", rule="case_id")
    if store.get(Case, filed.case_id) is not None:
        return
    store.put(
        Case(
            id=filed.case_id,
            code=filed.case_code,
            procedure_code=filed.procedure_code,
            channel=filed.channel,
            received_by=filed.received_by,
            agency_code=filed.agency_code,
            filed_in=filed.filed_in,
            decided_in=filed.decided_in,
            state=CASE_STATE_FILED,
            filed_at_ms=to_ms(filed.filed_at),
        )
    )


def follow_case(store: Documents, moved: CaseMoved, event: Event, here: str) -> None:
    """Lets a case that was filed here follow a move, the highest number telling where it stands.

    Raises NotFound when it is unknown here, as after a restore: then somebody has to look.
    """
    if moved.filed_in != here or moved.decided_in != event.origin:
        return
    case = store.require(Case, moved.case_id, "case")
    known = [move.number for move in case.moves]
    if case.decided_in != event.origin or moved.moves in known:
        return
    if moved.moves > max(known, default=0):
        _stand(case, moved)
    case.moves = sorted([*case.moves, _move(moved)], key=lambda move: move.number)
    store.put(case)


def _stand(case: Case, moved: CaseMoved) -> None:
    """The event tells all that is shown of the case."""
    deadline = date.fromisoformat(moved.deadline_day) if moved.deadline_day else None
    case.state = moved.to_state
    case.deadline_day, case.paused_working_days = moved.deadline_day, moved.paused_working_days
    case.due_day = day_text(due_day(moved.to_state, deadline, local_day(to_ms(moved.moved_at))))
    case.punctuality = moved.punctuality


def _move(moved: CaseMoved) -> Move:
    return Move(
        number=moved.moves,
        from_state=moved.from_state,
        to_state=moved.to_state,
        moved_at_ms=to_ms(moved.moved_at),
    )
