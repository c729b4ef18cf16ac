"""The life of an agreement: which state follows which, and which agreement holds an event type or a lookup.

    PROPOSED ── apply ──→ ACTIVE ── suspend ──→ SUSPENDED
                             ←───── resume ────────┘
    PROPOSED, ACTIVE, SUSPENDED ── revoke ──→ REVOKED
    PROPOSED, ACTIVE, SUSPENDED ── expire ──→ EXPIRED

Pure: each verb takes what is stored and returns what to store. At most one ACTIVE agreement shares an event type, or
grants a lookup, between the same two localities: the unit that makes an agreement ACTIVE also writes one *grant* for
each, whose id is made of the three, so of two units that claim the same only one commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lienthong.exchange.v1 import Agreement
from mesh.errors import FailedPrecondition
from mesh.times import now_ms
from services.exchange.agreement import State, grant_ids, grants, state_of, terms, valid_until


@dataclass(frozen=True, slots=True)
class Move:
    """One way on. From its goal it leads nowhere and changes nothing, so that it may be repeated."""

    verb: str
    """As errors say it."""
    sources: tuple[State, ...]
    """States it leads on from."""
    goal: State
    """State it leads to."""

    @property
    def allowed(self) -> tuple[State, ...]:
        """States in which asking for it is no error."""
        return (*self.sources, self.goal)


APPLY = Move("applied", (State.PROPOSED,), State.ACTIVE)
SUSPEND = Move("suspended", (State.ACTIVE,), State.SUSPENDED)
RESUME = Move("resumed", (State.SUSPENDED,), State.ACTIVE)
REVOKE = Move("revoked", (State.PROPOSED, State.ACTIVE, State.SUSPENDED), State.REVOKED)
EXPIRE = Move("expired", (State.PROPOSED, State.ACTIVE, State.SUSPENDED), State.EXPIRED)
MOVES = (APPLY, SUSPEND, RESUME, REVOKE, EXPIRE)


@dataclass(frozen=True, slots=True)
class Change:
    """What a verb decided: store it all in one unit."""

    agreement: Agreement
    """The agreement as it now is."""
    claims: tuple[str, ...] = ()
    """Grants to write, by id."""
    releases: tuple[str, ...] = ()
    """Grants to delete, by id."""
    moved: bool = True
    """False where the agreement already stood so."""


def apply(proposed: Agreement, current: Agreement | None, holders: Mapping[str, str], now: datetime) -> Change:
    """Makes a proposed agreement ACTIVE.

    `current` is what is stored under its id, `holders` the agreement of each existing grant of `grant_ids(proposed)`.
    Raises FailedPrecondition where the id has other terms, the state forbids it, its validity is over, or another
    ACTIVE agreement holds a type or lookup.
    """
    if current is not None and terms(current) != terms(proposed):
        raise FailedPrecondition(
            f"agreement {proposed.id} exists with other terms; revoke it and apply the new terms under a new id"
        )
    if current is None:
        current = Agreement()
        current.CopyFrom(proposed)
        current.carried = 0
        current.state = State.PROPOSED.number
    return _activate(current, APPLY, holders, now)


def suspend(current: Agreement, now: datetime) -> Change:
    """Stops an ACTIVE agreement for now; what it grants may be granted by another meanwhile."""
    return _move(current, SUSPEND, now)


def resume(current: Agreement, holders: Mapping[str, str], now: datetime) -> Change:
    """Makes a SUSPENDED agreement ACTIVE again, if nobody holds what it grants meanwhile."""
    return _activate(current, RESUME, holders, now)


def revoke(current: Agreement, now: datetime) -> Change:
    """Ends an agreement for good."""
    return _move(current, REVOKE, now)


def expire(current: Agreement, now: datetime) -> Change:
    """Ends an agreement whose validity is over; leaves a valid or an ended one as it is."""
    over = now >= valid_until(current) and state_of(current) in EXPIRE.sources
    return _move(current, EXPIRE, now) if over else Change(current, moved=False)


def _activate(current: Agreement, move: Move, holders: Mapping[str, str], now: datetime) -> Change:
    change = _move(current, move, now)
    if not change.moved:
        return change
    if now >= valid_until(current):
        raise FailedPrecondition(f"agreement {current.id} was valid until {valid_until(current).isoformat()}")
    for id, granted in grants(current).items():
        holder = holders.get(id, current.id)
        if holder != current.id:
            raise FailedPrecondition(f"agreement {holder} is ACTIVE and already grants {granted}; end it first")
    return Change(change.agreement, claims=grant_ids(current))


def _move(current: Agreement, move: Move, now: datetime) -> Change:
    state = state_of(current)
    if state is move.goal:
        return Change(current, moved=False)
    if state not in move.sources:
        raise FailedPrecondition(
            f"agreement {current.id} is {state} and cannot be {move.verb}; allowed: {', '.join(move.allowed)}",
            allowed=move.allowed,
        )
    moved = Agreement()
    moved.CopyFrom(current)
    moved.state = move.goal.number
    # MongoDB keeps milliseconds: what is answered now and what is read later are the same.
    moved.changed_at.FromMilliseconds(now_ms(now))
    return Change(moved, releases=grant_ids(current) if state is State.ACTIVE else ())
