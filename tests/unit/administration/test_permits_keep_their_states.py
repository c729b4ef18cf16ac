"""No sequence of calls, and no passing of time, takes a permit off its state table."""

from __future__ import annotations

from datetime import UTC, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from lienthong.administration.v1 import (
    PERMIT_STATE_APPLIED,
    PERMIT_STATE_CANCELLED,
    PERMIT_STATE_EXPIRED,
    PERMIT_STATE_GRANTED,
    PermitCancelled,
    PermitChanged,
    PermitGranted,
)
from mesh.errors import FailedPrecondition
from tests.unit.administration.permit_desk import NOW, Desk, new_desk

APPLIED, GRANTED, CANCELLED, EXPIRED = (
    PERMIT_STATE_APPLIED,
    PERMIT_STATE_GRANTED,
    PERMIT_STATE_CANCELLED,
    PERMIT_STATE_EXPIRED,
)
# As the contract draws it; the table of the code is what is tested.
ALLOWED = {
    ("grant", APPLIED): GRANTED,
    ("change", GRANTED): GRANTED,
    ("cancel", APPLIED): CANCELLED,
    ("cancel", GRANTED): CANCELLED,
}
calls = st.tuples(st.sampled_from(["grant", "change", "cancel", "wait"]), st.integers(1, 4))


def do(desk: Desk, id: str, call: str, days: int) -> bool:
    """Whether it was allowed."""
    today = (desk.clock.now() - NOW) / timedelta(days=1)
    try:
        if call == "change":
            desk.change(id, days=(today, today + days))
        else:
            getattr(desk, call)(id)
    except FailedPrecondition:
        return False
    return True


def is_over(desk: Desk, id: str) -> bool:
    return desk.get(id).until.ToDatetime(UTC) <= desk.clock.now()


@settings(max_examples=300, deadline=None)
@given(st.lists(calls, max_size=12))
def test_no_sequence_of_calls_leaves_the_state_table(sequence: list[tuple[str, int]]):
    desk = new_desk()
    id = desk.apply(days=(0, 5)).id

    for call, days in sequence:
        before = desk.get(id)
        if call == "wait":
            desk.wait(days)
            assert desk.get(id).state == (EXPIRED if before.state == GRANTED and is_over(desk, id) else before.state)
            continue
        allowed = (call, before.state) in ALLOWED and not (call == "grant" and is_over(desk, id))
        assert do(desk, id, call, days) == allowed
        assert desk.get(id).state == (ALLOWED[call, before.state] if allowed else before.state)


@settings(max_examples=300, deadline=None)
@given(st.lists(calls, max_size=12))
def test_what_others_are_told_begins_with_granted_ends_with_cancelled_and_counts_up(sequence: list[tuple[str, int]]):
    desk = new_desk()
    id = desk.apply(days=(0, 5)).id

    for call, days in sequence:
        desk.wait(days) if call == "wait" else do(desk, id, call, days)

    told = desk.emitted.messages
    kinds = [type(event) for event in told]
    is_cancelled = bool(told) and desk.get(id).state == CANCELLED
    assert kinds[:1] == [PermitGranted] * bool(told)
    assert kinds[1:] == [PermitChanged] * (len(told) - 1 - is_cancelled) + [PermitCancelled] * is_cancelled
    assert [event.revision for event in told] == list(range(1, desk.get(id).revision + 1))
