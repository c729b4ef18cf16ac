"""The life of an agreement, and who holds an event type."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lienthong.exchange.v1 import Agreement, SharedEvent
from mesh.errors import FailedPrecondition
from services.exchange import lifecycle
from services.exchange.agreement import State, grant_ids, state_of, terms, valid_until
from services.exchange.lifecycle import MOVES, Change
from tests.unit.exchange.conftest import LIFTED, NOW, RAISED

MakeAgreement = Callable[..., Agreement]
NOBODY: dict[str, str] = {}


def test_applying_makes_an_agreement_active_and_claims_each_type(agreement: MakeAgreement):
    change = lifecycle.apply(agreement(), None, NOBODY, NOW)

    assert state_of(change.agreement) is State.ACTIVE
    assert change.agreement.changed_at.ToDatetime(tzinfo=NOW.tzinfo) == NOW
    assert change.claims == (f"da-nang|hue|{RAISED}", f"da-nang|hue|{LIFTED}")


def test_applying_again_changes_nothing(agreement: MakeAgreement):
    active = lifecycle.apply(agreement(), None, NOBODY, NOW).agreement
    holders = dict.fromkeys(grant_ids(active), active.id)

    again = lifecycle.apply(agreement(), active, holders, NOW + timedelta(days=1))

    assert again == Change(active, moved=False)


def test_terms_are_the_same_in_any_order_and_whatever_happened_since(agreement: MakeAgreement):
    active = lifecycle.apply(agreement(), None, NOBODY, NOW).agreement
    active.carried = 7
    turned = agreement(
        events=[
            SharedEvent(type=LIFTED, fields=["*"]),
            SharedEvent(type=RAISED, fields=["location", "raised_at", "index", "band", "station_id"]),
        ]
    )

    assert terms(turned) == terms(active)


def test_an_id_never_takes_other_terms(agreement: MakeAgreement):
    active = lifecycle.apply(agreement(), None, NOBODY, NOW).agreement

    with pytest.raises(FailedPrecondition, match="exists with other terms"):
        lifecycle.apply(agreement(purpose="statistics"), active, NOBODY, NOW)


def test_an_applied_agreement_starts_without_a_past(agreement: MakeAgreement):
    change = lifecycle.apply(agreement(carried=99, state=State.REVOKED.number), None, NOBODY, NOW)

    assert (change.agreement.carried, state_of(change.agreement)) == (0, State.ACTIVE)


def test_an_agreement_that_is_over_cannot_be_applied(agreement: MakeAgreement):
    over = agreement()

    with pytest.raises(FailedPrecondition, match="was valid until 2027-01-01"):
        lifecycle.apply(over, None, NOBODY, valid_until(over))


def test_a_type_is_shared_by_one_active_agreement_only(agreement: MakeAgreement):
    holders = {f"da-nang|hue|{LIFTED}": "dn-hue-air-0"}

    with pytest.raises(FailedPrecondition, match=f"agreement dn-hue-air-0 is ACTIVE and already grants {LIFTED}"):
        lifecycle.apply(agreement(), None, holders, NOW)


def test_suspending_releases_what_was_claimed_and_resuming_claims_it_again(agreement: MakeAgreement):
    active = lifecycle.apply(agreement(), None, NOBODY, NOW).agreement

    suspended = lifecycle.suspend(active, NOW)
    resumed = lifecycle.resume(suspended.agreement, NOBODY, NOW)

    assert suspended.releases == resumed.claims == grant_ids(active)
    assert state_of(resumed.agreement) is State.ACTIVE


def test_resuming_is_refused_while_another_agreement_holds_a_type(agreement: MakeAgreement):
    suspended = agreement(state=State.SUSPENDED.number)

    with pytest.raises(FailedPrecondition, match="end it first"):
        lifecycle.resume(suspended, {f"da-nang|hue|{RAISED}": "dn-hue-air-2"}, NOW)


def test_ending_a_suspended_agreement_releases_nothing_that_another_may_hold(agreement: MakeAgreement):
    suspended = agreement(state=State.SUSPENDED.number)

    assert lifecycle.revoke(suspended, NOW).releases == ()


def test_a_refusal_names_the_state_and_the_allowed_ones(agreement: MakeAgreement):
    revoked = agreement(state=State.REVOKED.number)

    with pytest.raises(FailedPrecondition) as refused:
        lifecycle.suspend(revoked, NOW)

    assert refused.value.allowed == ("ACTIVE", "SUSPENDED")
    assert "dn-hue-air-1 is REVOKED and cannot be suspended; allowed: ACTIVE, SUSPENDED" in refused.value.message


def test_an_agreement_expires_at_its_end_and_not_before(agreement: MakeAgreement):
    active = agreement(state=State.ACTIVE.number)

    before = lifecycle.expire(active, valid_until(active) - timedelta(microseconds=1))
    after = lifecycle.expire(active, valid_until(active))

    assert not before.moved
    assert state_of(after.agreement) is State.EXPIRED
    assert after.releases == grant_ids(active)


def test_a_revoked_agreement_stays_revoked_when_its_time_is_over(agreement: MakeAgreement):
    revoked = agreement(state=State.REVOKED.number)

    assert lifecycle.expire(revoked, valid_until(revoked)) == Change(revoked, moved=False)


class TwoAgreementsOverTheSameTypes(RuleBasedStateMachine):
    """Whatever is asked in whatever order, states follow the table and one agreement at most is ACTIVE per type."""

    names = st.sampled_from(["old", "new"])

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.stored: dict[str, Agreement] = {}
        self.grants: dict[str, str] = {}

    @rule(name=names)
    def apply(self, name: str) -> None:
        proposed = Agreement(
            id=name, provider="da-nang", recipient="hue", events=[SharedEvent(type=RAISED, fields=["*"])]
        )
        proposed.valid_until.FromDatetime(NOW + timedelta(days=3))
        self._change(name, lambda: lifecycle.apply(proposed, self.stored.get(name), self.grants, self.now))

    @rule(name=names, verb=st.sampled_from([lifecycle.suspend, lifecycle.revoke, lifecycle.expire]))
    def move(self, name: str, verb: Callable[..., Change]) -> None:
        if name in self.stored:
            self._change(name, lambda: verb(self.stored[name], self.now))

    @rule(name=names)
    def resume(self, name: str) -> None:
        if name in self.stored:
            self._change(name, lambda: lifecycle.resume(self.stored[name], self.grants, self.now))

    @precondition(lambda self: self.now < NOW + timedelta(days=4))
    @rule()
    def wait_a_day(self) -> None:
        self.now += timedelta(days=1)

    def _change(self, name: str, decide: Callable[[], Change]) -> None:
        before = state_of(self.stored[name]) if name in self.stored else State.PROPOSED
        try:
            change = decide()
        except FailedPrecondition:
            return
        after = state_of(change.agreement)
        arrows = {(source, move.goal) for move in MOVES for source in move.sources}
        assert (before, after) in arrows if change.moved else before is after
        assert all(self.grants.pop(grant) == name for grant in change.releases)
        self.grants.update(dict.fromkeys(change.claims, name))
        self.stored[name] = change.agreement

    @invariant()
    def an_agreement_is_active_exactly_if_it_holds_its_grants(self) -> None:
        for agreement in self.stored.values():
            held = {self.grants.get(grant) for grant in grant_ids(agreement)} == {agreement.id}
            assert held == (state_of(agreement) is State.ACTIVE)


TestTwoAgreements = TwoAgreementsOverTheSameTypes.TestCase


@given(st.sampled_from(MOVES), st.sampled_from([State.REVOKED, State.EXPIRED]))
def test_nothing_leads_out_of_an_ended_agreement(move: lifecycle.Move, ended: State):
    assert ended not in move.sources
