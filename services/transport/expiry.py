"""Restrictions whose time is over: the clock lifts them, as no event says so."""

from __future__ import annotations

from typing import Final

from lienthong.transport.v1 import LIFT_REASON_TIME_OVER, RESTRICTION_STATE_IMPOSED
from services.transport.documents import Restriction
from services.transport.restrictions import Restrictions

PAGE: Final = 100


def lift_over(restrictions: Restrictions) -> bool:
    """Lifts restrictions whose end has come; true when there may be more."""
    over = restrictions.store.find(
        Restriction,
        state=RESTRICTION_STATE_IMPOSED,
        until_ms__lte=restrictions.now_ms,
        order_by=("until_ms",),
        limit=PAGE,
    )
    for restriction in over:
        restrictions.end(restriction, LIFT_REASON_TIME_OVER)
        restrictions.store.put(restriction)
    return len(over) == PAGE
