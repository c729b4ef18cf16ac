"""The judge itself, on campaigns made up for it."""

from __future__ import annotations

from mesh.events import partition_of
from tests.faults.judge import Seen, judge
from tests.faults.load import Ledger
from tests.trial.contract import RecordRequest


def ledger(*amounts: int, unknown: tuple[int, ...] = ()) -> Ledger:
    """Requests for key `a`, acknowledged in this order, and requests nobody was told about."""
    ledger, total = Ledger(), 0
    for amount in amounts:
        total += amount
        ledger.ask(RecordRequest(request_id=f"r{amount}", key="a", amount=amount))
        ledger.answer(f"r{amount}", total)
    for amount in unknown:
        ledger.ask(RecordRequest(request_id=f"u{amount}", key="a", amount=amount))
    return ledger


def test_what_was_acknowledged_and_seen_once_in_order_is_clean() -> None:
    assert judge(ledger(5, 7), {"a": 12}, {"hue": {"a": Seen(2, 12, (1, 4))}}).clean


def test_a_request_of_unknown_outcome_is_in_or_out() -> None:
    for total, count in [(12, 2), (15, 3)]:
        seen = {"hue": {"a": Seen(count, total, tuple(range(count)))}}
        assert judge(ledger(5, 7, unknown=(3,)), {"a": total}, seen).clean


def test_a_request_of_unknown_outcome_is_the_same_everywhere() -> None:
    seen = {"da-nang": {"a": Seen(3, 15, (1, 2, 3))}, "hue": {"a": Seen(2, 12, (1, 2))}}
    assert judge(ledger(5, 7, unknown=(3,)), {"a": 15}, seen).lost


def test_an_acknowledged_request_that_is_in_no_total_is_lost() -> None:
    assert judge(ledger(5, 7), {"a": 5}, {"hue": {"a": Seen(1, 5, (1,))}}).lost


def test_an_event_no_witness_saw_is_lost() -> None:
    assert judge(ledger(5, 7), {"a": 12}, {"hue": {}}).lost


def test_an_effect_applied_twice_is_doubled() -> None:
    verdict = judge(ledger(5, 7), {"a": 12}, {"hue": {"a": Seen(3, 19, (1, 2, 2))}})
    assert len(verdict.doubled) == 2
    assert not verdict.lost


def test_a_loss_is_not_made_up_for_by_a_double() -> None:
    verdict = judge(ledger(5, 7), {"a": 12}, {"hue": {"a": Seen(2, 10, (1, 1))}})
    assert verdict.lost
    assert verdict.doubled


def test_a_number_given_to_two_events_is_doubled() -> None:
    known = ledger(5)
    known.ask(RecordRequest(request_id="other", key="j", amount=3))
    known.answer("other", 3)
    assert partition_of("a") == partition_of("j")
    seen = {"hue": {"a": Seen(1, 5, (1,)), "j": Seen(1, 3, (1,))}}
    assert judge(known, {"a": 5, "j": 3}, seen).doubled


def test_a_step_back_is_disordered() -> None:
    assert judge(ledger(5, 7), {"a": 12}, {"hue": {"a": Seen(2, 12, (2, 1))}}).disordered


def test_two_answers_to_one_request_are_a_complaint() -> None:
    known = ledger(5)
    known.answer("r5", 10)
    assert judge(known, {"a": 5}, {}).complaints


def test_a_dead_letter_nobody_asked_for_is_a_complaint() -> None:
    assert judge(ledger(5), {"a": 5}, {}, ["letter"]).complaints
