"""What of other services' logs a service may read over gRPC: what it may read of their streams."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mesh.doors.declared import Interest
from mesh.log_scopes import LOCAL_EVENTS, LOG_SCOPE, PEERS_EVENTS, log_scope
from mesh.subscribe import ANY, LOCAL, PEERS, Origin

_WHOSE: Final[dict[Origin, tuple[str, ...]]] = {
    LOCAL: (LOCAL_EVENTS,),
    PEERS: (PEERS_EVENTS,),
    ANY: (LOCAL_EVENTS, PEERS_EVENTS),
}


def log_scopes(interests: Iterable[Interest]) -> set[str]:
    """Returns the scopes that a service's tokens carry to read logs; none for one that reads no events."""
    topics = {
        log_scope(whose, interest.sector, interest.topic) for interest in interests for whose in _WHOSE[interest.origin]
    }
    return topics | {LOG_SCOPE} if topics else set()
